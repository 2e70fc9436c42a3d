"""Gets the pictures of one class: sources, the bounded fetcher, the records."""
