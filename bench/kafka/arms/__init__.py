"""The same work in other shapes, side by side: what our Faust shape costs and saves.

Each arm is a process that reads a journal, hands what it read to the same processor and writes the
same outputs and the same rows of state, acknowledged by all replicas before it goes on.
"""
