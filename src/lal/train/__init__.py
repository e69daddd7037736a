"""One loop that trains: schedule, optimizer, checkpoints."""
