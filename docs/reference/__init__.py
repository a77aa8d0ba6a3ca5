"""The references in docs/, written from the code. One file of references in each file."""
