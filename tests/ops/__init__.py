"""Lag, metrics and health, of both runtimes."""
