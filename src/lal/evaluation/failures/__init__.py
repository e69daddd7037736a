"""What went wrong, sorted, and the training rows that could mend it."""
