"""The computed ids of the contract (§3), reckoned here a second time."""

from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

NS: Final = uuid5(NAMESPACE_URL, "urn:care-orchestrator")


def transition_id(event: dict[str, Any]) -> str:
    """Of *event*, the one by which this discharge first became known."""
    known_by = f"{event['source']} {event['id']}"
    visit = event["data"]["visit_number"]
    cause = f"{event['subject']}|{event['facility']}|{visit}|{known_by}"
    return str(uuid5(NS, f"transition|{cause}"))


def task_id(transition: str, kind: str, cause: str) -> str:
    """*cause* is empty for what the transition itself causes."""
    return str(uuid5(NS, f"task|{transition}|{kind}|{cause}"))


def gap_id(transition_or_scope: str, code: str, subject: str) -> str:
    """A gap of no transition hangs on a scope: a stay, a patient, a facility."""
    return str(uuid5(NS, f"gap|{transition_or_scope}|{code}|{subject}"))
