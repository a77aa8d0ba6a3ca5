"""Ready-made questions to the published tables."""
