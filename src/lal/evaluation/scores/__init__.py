"""From answers to numbers: scorers, one row an item and solver, the shares they add up to."""
