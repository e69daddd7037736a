"""The gold set as a thing to keep: reading, slices, new items, lint, and the sealed part's release."""
