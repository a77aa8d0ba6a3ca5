"""Tables of integers: what is read, grouped, merged and stored."""
