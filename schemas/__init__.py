"""The public contract: events, tasks, gaps, changes, topics and the facilities file.

Imports nothing of ours.  Publishers and consumers may rely on every name here (``contract.md``).
"""
