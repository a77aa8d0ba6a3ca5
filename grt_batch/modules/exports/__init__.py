"""The exports, one per file: they pass records on instead of counting them."""
