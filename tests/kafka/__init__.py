"""Tests against a real Apache Kafka; they run with `make test-kafka`."""
