"""Dictionary-encoded columns, composite keys, and frames as bytes."""
