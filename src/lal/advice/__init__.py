"""Before a run and after it: whether it can work, what it will take and reach, what its curve says to try next."""
