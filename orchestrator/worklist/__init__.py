"""The worklist: what care teams, their systems and pages read, and how what they did gets in.

A projection of the published topics, read through one HTTP door; it decides nothing.  Actions
become events on ``care.outcome.v1``, like anybody's, and come back as changes.
"""
