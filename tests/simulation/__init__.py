"""Seeded histories, a slow reference model, and the promises that both hold the core to."""
