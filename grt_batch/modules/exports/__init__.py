"""The exports, one per file, which pass records on instead of counting them."""
