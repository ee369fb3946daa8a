"""Acceptance stories that a nurse can check, and what runs them."""
