"""What answers have in common: JSON bytes, freshness, contact, the account for the audit."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from fastapi import Response

from orchestrator.worklist import views
from orchestrator.worklist.access.roles import Principal
from orchestrator.worklist.api.guard import Call
from orchestrator.worklist.model import lists, said, stories
from orchestrator.worklist.model.lists import Row
from orchestrator.worklist.model.stories import Told
from schemas.views import withheld

# Of a patient view, what a caller needs to reach the patient.
CONTACT = ("name", "birth_date", "phones", "language", "caregivers", "preferences")


def json_response(
    content: Any, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """*content* as JSON, never stored by anyone on the way."""
    return Response(orjson.dumps(content), status, headers, media_type="application/json")


def freshness(call: Call, db: sqlite3.Connection) -> dict[str, Any]:
    """How fresh the rows of *db* are."""
    return call.site.freshness.told(call.site.now(), lists.silent_feeds(db, call.who))


def contacts(db: sqlite3.Connection, keys: Iterable[str], who: Principal) -> dict[str, Any]:
    """By patient key, whom to call; nothing where the role may not know."""
    if who.view not in ("clinical", "minimal"):
        return {}
    wanted = sorted(set(keys))
    found: dict[str, Any] = {}
    for begin in range(0, len(wanted), 500):
        part = wanted[begin : begin + 500]
        marks = ", ".join("?" * len(part))
        for key, value in db.execute(
            f"SELECT patient_key, value FROM patients WHERE patient_key IN ({marks})",
            part,
        ):
            view, _ = withheld(orjson.loads(value), part2=who.part2)
            found[key] = {name: view.get(name) for name in CONTACT}
    return found


def items(
    call: Call, db: sqlite3.Connection, kind: str, rows: Sequence[Row]
) -> list[dict[str, Any]]:
    """The things of *rows* as the caller sees them; told to the audit."""
    made = [views.item(kind, row.value, row.why, call.who) for row in rows]
    keys = [item["patient_key"] for item in made if item.get("patient_key")]
    known = contacts(db, keys, call.who) if kind != "transition" else {}
    for item in made:
        if item.get("patient_key") in known:
            item["contact"] = known[item["patient_key"]]
        call.account.objects.append(f"{kind}/{item[f'{kind}_id']}")
    call.account.patient_keys.update(keys)
    call.account.rows = (call.account.rows or 0) + len(made)
    return made


def changes_seen(call: Call, db: sqlite3.Connection, told: Sequence[Told]) -> list[dict[str, Any]]:
    """Changes as the caller sees them; what is masked by now is so in every version."""
    masked = frozenset() if call.who.part2 else stories.masked_now(db, told)
    words = said.by_change(db, [one.number for one in told])
    return [
        views.change(
            one.value, call.who, masked=one.number in masked, said=words.get(one.number, ())
        )
        for one in told
    ]


def account_changes(call: Call, changes: Sequence[dict[str, Any]]) -> None:
    """Tell the audit about *changes*."""
    call.account.patient_keys.update(c["patient_key"] for c in changes if c.get("patient_key"))
    call.account.rows = (call.account.rows or 0) + len(changes)


def etag(version: int) -> str:
    return f'"{version}"'
