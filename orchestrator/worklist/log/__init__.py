"""The log as the worklist sees it: what it reads, how far, and where it writes to."""
