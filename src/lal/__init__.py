"""Lal: the small-language-model loop, from a pile of text to a shipped model with a score."""

__version__ = "0.1.0"
