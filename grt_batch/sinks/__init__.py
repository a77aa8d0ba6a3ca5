"""Where the tables go: PostgreSQL, and TSV reports."""
