"""The decisions, pure: facts, a policy and an instant in; tasks, gaps and changes out.

No I/O, no clock, no ``await``; imports nothing of ours.  The order of reading:
``facts`` -> ``cells`` -> ``stays`` -> ``transitions`` -> ``plan`` -> ``reconcile`` -> ``step``.
Instants are whole microseconds since 1970 UTC, as ``int``: exact at a boundary, cheap to compare.
"""
