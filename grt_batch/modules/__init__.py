"""The contract of modules, helpers for their authors, and the modules themselves: reports and exports."""
