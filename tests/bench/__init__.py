"""The benchmark runs; how fast anything is, no test asks."""
