"""A private PostgreSQL server below the work folder."""
