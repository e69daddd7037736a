"""What a model says in the very words of its training text."""
