"""Promises of the worklist."""
