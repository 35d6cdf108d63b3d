"""What recordings are given, and how it gets to the disk."""
