"""Text that becomes a model: sources, cleaning, pairs, checks."""
