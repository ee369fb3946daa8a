"""What the public contract promises: forms that must always read, times, settings files."""
