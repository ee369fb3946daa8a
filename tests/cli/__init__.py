"""The command line, its settings and logs, and the simulated hospital."""
