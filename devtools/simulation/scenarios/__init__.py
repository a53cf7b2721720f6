"""The scenarios, one module for each sort of trouble; `simulation.plan` names them."""
