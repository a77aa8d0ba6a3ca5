"""From bytes to columns: one block of a member at a time."""
