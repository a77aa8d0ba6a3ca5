"""The ranks of a run: their roles, their messages, and the mpirun that starts them."""
