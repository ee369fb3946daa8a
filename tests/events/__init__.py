"""What decoding promises: accepted events, typed rejects, nothing else."""
