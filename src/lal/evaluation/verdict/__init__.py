"""Better, worse or cannot tell: comparison, gate, champion, and what the network adds over what is free."""
