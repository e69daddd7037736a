"""One recipe a pipeline stage."""
