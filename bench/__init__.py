"""Measurements behind the figures in the documents: one command each, after `dvc repro`."""
