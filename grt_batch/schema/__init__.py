"""The columns of members (what comes in), of records (what a report sees) and of tables (what goes out)."""
