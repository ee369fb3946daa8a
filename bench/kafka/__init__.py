"""Figures of the Kafka runtime, against a real broker of their own."""
