"""What is known of the workflow and its runs: the graph's facts, a run's folder, its progress, its index."""
