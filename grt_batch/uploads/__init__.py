"""What came in: folders, metadata and the contents of an archive."""
