"""Pictures to arrays, and arrays to a split dataset."""
