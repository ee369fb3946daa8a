"""The embedded runtime: nothing lost, nothing twice, whatever is killed."""
