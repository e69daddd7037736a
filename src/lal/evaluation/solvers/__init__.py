"""Whatever answers gold items: free baselines, Lal's own models, other people's; and how likely they find the truth."""
