"""The one place of the worklist that looks at a clock and throws dice."""

import secrets
import time
import uuid


def now() -> int:
    """The machine's time in microseconds since 1970: when somebody did something."""
    return time.time_ns() // 1000


def elapsed() -> float:
    """Seconds since some instant; cannot be set back."""
    return time.monotonic()


def new_id() -> str:
    """An id that nothing else has."""
    return str(uuid.uuid4())


def secret() -> str:
    """256 bits for a session or a form, in a form that fits a cookie."""
    return secrets.token_urlsafe(32)


def pad(length: int) -> bytes:
    """Chance bytes that nobody can foretell."""
    return secrets.token_bytes(length)
