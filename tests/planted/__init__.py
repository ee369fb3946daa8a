"""Bugs planted in a copy of the tree, each of which a named test must notice."""
