"""What was read, and an account of every line of it."""
