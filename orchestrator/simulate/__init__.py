"""A hospital that does not exist: seeded, made-up patients and what would be sent about them.

``pathways`` tells what happens to a patient in clinical words, ``dirt`` what goes wrong on the
way to us, ``canonical`` and ``hl7v2`` write it down as a sender would.  Everything is a function
of seed, start and length; no clock, no network, nobody's data.  Words and step names follow
google/simhospital (its documentation, not its code).
"""
