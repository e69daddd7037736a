"""The network, its folder on disk, and generating text with it."""
