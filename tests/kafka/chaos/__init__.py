"""The chaos run: faults from a seed, and a checker that shares no code with what it checks."""
