"""What the world asks of the shipped model: drift, coverage of the gold set, and what people say of the answers."""
