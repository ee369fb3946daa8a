"""``care.patient.*`` to facts about the person; who is whom stands in ``identity``."""

from typing import Any, Final

from handlers.envelope import Said
from orchestrator.core.facts import PersonSaid, Told

FIELDS: Final = (
    "name",
    "birth_date",
    "phones",
    "language",
    "address",
    "caregivers",
    "pcp",
    "test_patient",
)
PREFERENCES: Final = ("outreach", "channel", "hours", "no_share_with", "language")


def updated(said: Said) -> Told:
    """A28, A31."""
    fields = {name: said.data[name] for name in FIELDS if name in said.data}
    return said.told("Personal details updated", [PersonSaid(fields, said.stamp)])


def consent_changed(said: Said) -> Told:
    """What may be disclosed (42 CFR Part 2); the newest statement of each scope holds."""
    scope, state = said.data["scope"], said.data["state"]
    fields = {f"consent_{scope}": state}
    # A revocation protects: said ahead of its time it counts at once.
    revoked = state == "revoked"
    return said.told("Consent changed", [PersonSaid(fields, said.stamp)], stop=revoked)


def died(said: Said) -> Told:
    """PID-30; a null date takes the death back."""
    at = said.instant("died_at") if "died_at" in said.data else said.stamp.time
    title = "Death taken back" if at is None else "Death reported"
    fields: dict[str, Any] = {"died_at": at}
    if at is not None:
        fields["death_told"] = True  # remains known, since when, if it is taken back
    return said.told(title, [PersonSaid(fields, said.stamp)], stop=True)


def preference_changed(said: Said) -> Told:
    """What the patient wants of us."""
    fields: dict[str, Any] = {name: said.data[name] for name in PREFERENCES if name in said.data}
    declines = fields.get("outreach") in ("decline-calls", "decline-all")
    return said.told(
        "Wishes about outreach changed", [PersonSaid(fields, said.stamp)], stop=declines
    )
