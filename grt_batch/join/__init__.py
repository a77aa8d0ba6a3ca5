"""From columns to one row per job and one row per record, for a whole archive."""
