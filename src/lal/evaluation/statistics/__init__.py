"""How sure a number is, alone and against another: intervals, paired tests, the spread between seeds."""
