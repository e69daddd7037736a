"""What a model is worth: gold set, solvers, scorers, intervals, the verdict and the report."""
