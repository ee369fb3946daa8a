"""The read model: a projection of the published topics in SQLite, and what is asked of it."""
