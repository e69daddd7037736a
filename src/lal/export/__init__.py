"""The model as a folder that others can open, proven to be the one that was measured."""
