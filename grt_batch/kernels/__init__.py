"""All code that numba compiles."""
