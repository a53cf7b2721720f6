"""The trials, one module for each sort of trouble; `chaos.scale` says which are run, how large."""
