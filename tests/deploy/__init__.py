"""The files of deploy/, each held against its own tool and run for real: `make check-deploy`."""
