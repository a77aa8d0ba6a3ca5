"""Ready-made queries of the published tables and of the ledger."""
