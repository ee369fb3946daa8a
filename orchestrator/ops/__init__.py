"""What operators look at: lag, metrics, health.  It reads what the runtimes say of themselves and
what the log says of them, and decides nothing.
"""
