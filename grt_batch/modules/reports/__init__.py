"""The reports, one per file. A subclass of `Module` is found by being here."""
