"""What is fast, measured beside what else does the job. Ratios within one run; absolute times mean little."""
