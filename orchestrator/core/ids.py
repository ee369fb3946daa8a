"""Ids computed from causes (``contract.md`` §3), so that a repeat is harmless."""

from functools import lru_cache
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

NAMESPACE: Final[UUID] = uuid5(NAMESPACE_URL, "urn:care-orchestrator")


def _uuid(name: str) -> str:
    return str(uuid5(NAMESPACE, name))


@lru_cache(maxsize=65536)
def transition_id(subject: str, facility: str, visit_number: str, source: str, event: str) -> str:
    """*source* and *event* name the first received discharge event of this discharge."""
    return _uuid(f"transition|{subject}|{facility}|{visit_number}|{source} {event}")


@lru_cache(maxsize=65536)
def task_id(transition: str, kind: str, cause: str = "") -> str:
    """*cause* is empty for what the transition itself causes, else the causing thing's id."""
    return _uuid(f"task|{transition}|{kind}|{cause}")


@lru_cache(maxsize=65536)
def gap_id(scope: str, code: str, subject: str = "") -> str:
    """*scope* is the transition's id, or ``stay:…``, ``patient:…``, ``facility:…``."""
    return _uuid(f"gap|{scope}|{code}|{subject}")
