"""What cannot be run without a container engine is held against CLI, settings and metrics."""
