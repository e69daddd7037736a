"""Runs in MLflow; nothing outside of this package touches it."""
