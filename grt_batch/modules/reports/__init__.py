"""The reports, one per file. Every subclass of `Module` in this package is one."""
