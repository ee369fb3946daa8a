"""The read model folded a second time, by plain dictionaries: what its rows must be.

Written from `design.md`, Read model, and not from the product's own fold: a thing is its greatest
version and the sentence of the change that made it; a change is its (subject, seq).
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import orjson

from orchestrator.worklist.log.feed import Record
from orchestrator.worklist.model import tables
from tests.worklist.history import key_of

Rows = dict[str, list[dict[str, Any]]]

OVER: Final = ("completed", "rejected", "cancelled", "entered-in-error")
PRIORITIES: Final = ("stat", "asap", "urgent", "routine")
SEVERITIES: Final = ("critical", "high", "medium", "low", "info")
TALLIED: Final = ("team", "facility", "kind", "hurry", "overdue", "born_overdue", "owner")
WORDS: Final = (
    "actor", "on_behalf_of", "reached", "outcome", "to", "reason", "note", "answers",
    "accepted_discrepancies", "appointment_id",
)  # fmt: skip
# Row numbers are the order of arrival, which nothing may depend on.
NUMBERED: Final = ("tasks", "gaps", "transitions", "changes", "patients", "audit", "letters")


def found(path: Path) -> Rows:
    """All that is in the file, but for its own name and how it was numbered."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        names = [
            row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        names = [n for n in names if not n.startswith("sqlite_") and not n.endswith("_said")]
        rows: Rows = {}
        for name in sorted(names):
            source = name
            if f"{name}_said" in _all_names(db):
                source = f"{name} JOIN {name}_said USING (id)"
            if name == "caused":
                source = "(SELECT event, subject, seq FROM caused JOIN changes ON id = change_id)"
            rows[name] = _sorted(dict(row) for row in db.execute(f"SELECT * FROM {source}"))
    for name in NUMBERED:
        for row in rows[name]:
            del row["id"]
        rows[name] = _sorted(rows[name])
    rows["meta"] = [row for row in rows["meta"] if row["name"] != "generation"]
    return rows


def _all_names(db: sqlite3.Connection) -> set[str]:
    return {row[0] for row in db.execute("SELECT name FROM sqlite_master")}


def _sorted(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: repr(sorted(row.items())))


def expected(records: Iterable[Record], log: str) -> Rows:
    """What must be in the file once *records* of *log* are."""
    model = _Model()
    for record in records:
        model.take(record)
    return model.rows(log)


class _Model:
    def __init__(self) -> None:
        self.changes: dict[tuple[str, int], tuple[dict[str, Any], bytes]] = {}
        self.things: dict[str, dict[str, tuple[dict[str, Any], bytes]]] = {
            "task": {},
            "gap": {},
            "transition": {},
        }
        self.patients: dict[str, bytes] = {}
        self.audit: dict[str, bytes] = {}
        self.letters: list[Record] = []
        self.commands: dict[tuple[str, str], dict[str, Any]] = {}
        self.ends: dict[tuple[str, int], int] = {}

    def take(self, record: Record) -> None:
        self.ends[record.topic, record.partition] = record.offset + 1
        kind = record.topic.removeprefix("care.").removesuffix(".v1")
        if kind == "dead-letter":
            self.letters.append(record)
        elif kind == "patient-view":
            self.patients.pop(record.key or "", None)
            if record.value is not None:
                self.patients[record.key or ""] = record.value
        elif record.value is None:
            return
        elif kind == "change":
            change = orjson.loads(record.value)
            self.changes.setdefault((change["subject"], change["seq"]), (change, record.value))
            for of in self.things:
                if change.get(of) is not None:
                    self._newest(of, change[of], orjson.dumps(change[of]))
        elif kind == "outcome":
            self._command(record)
        elif kind == "audit":
            self.audit.setdefault(orjson.loads(record.value)["audit_id"], record.value)
        else:
            self._newest(kind, orjson.loads(record.value), record.value)

    def _command(self, record: Record) -> None:
        row = _command(orjson.loads(record.value or b""), record.at)
        if row is not None:
            known = self.commands.setdefault((row["event"], row["source"]), row)
            if (row["at"], row["value"]) < (known["at"], known["value"]):
                self.commands[row["event"], row["source"]] = row

    def _newest(self, kind: str, thing: dict[str, Any], value: bytes) -> None:
        name = thing[f"{kind}_id"]
        known = self.things[kind].get(name)
        if known is None or known[0]["version"] < thing["version"]:
            self.things[kind][name] = (thing, value)

    def rows(self, log: str) -> Rows:
        said = {
            (of, change[of][f"{of}_id"], change[of]["version"]): change
            for change, _ in self.changes.values()
            for of in self.things
            if change.get(of) is not None
        }
        made: Rows = {
            "meta": [{"name": "log", "value": log}],
            "positions": [
                {"topic": topic, "partition": partition, "next": end}
                for (topic, partition), end in self.ends.items()
            ],
            "changes": [_change(change, value) for change, value in self.changes.values()],
            "caused": [
                {"event": event, "subject": subject, "seq": seq}
                for (subject, seq), (change, _) in self.changes.items()
                for event in dict.fromkeys(change["caused_by"])
            ],
            "subjects": self._subjects(),
            "patients": [_patient(key, value) for key, value in self.patients.items()],
            "audit": [_audit(value) for value in self.audit.values()],
            "letters": [self._letter(record) for record in self.letters],
            "letter_deeds": [row for rows in self._deeds().values() for row in rows],
            "said": list(self.commands.values()),
            "tally": self._tally(),
        }
        for kind, of in (("task", _task), ("gap", _gap), ("transition", _transition)):
            made[f"{kind}s"] = [
                {**of(thing), **_told(kind, thing, value, said)}
                for thing, value in self.things[kind].values()
            ]
        return {name: _sorted(rows) for name, rows in sorted(made.items())}

    def _deeds(self) -> dict[str, list[dict[str, Any]]]:
        """What was done about each letter, in the order in which it was."""
        deeds: dict[str, list[dict[str, Any]]] = {}
        for value in self.audit.values():
            said = orjson.loads(value)
            for name in said["objects"]:
                if name.startswith("dead-letter/") and said["action"] in ("retry", "discard"):
                    place = name.removeprefix("dead-letter/")
                    row = {
                        n: said[n] for n in ("audit_id", "actor", "action", "outcome", "purpose")
                    }
                    deeds.setdefault(place, []).append(
                        {"place": place, "at": micros(said["at"]), **row}
                    )
        return {
            place: sorted(rows, key=lambda row: (row["at"], row["audit_id"]))
            for place, rows in deeds.items()
        }

    def _letter(self, record: Record) -> dict[str, Any]:
        row = _letter(record)
        ends = [
            deed["action"]
            for deed in self._deeds().get(row["place"], [])
            if deed["outcome"] == "success"
        ]
        is_edit = record.headers.get("stage") == "edit"
        edits = record.headers.get("edits") if is_edit else None
        status = {"retry": "retried", "discard": "discarded"}[ends[0]] if ends else "open"
        return {**row, "edits": edits, "status": "edit" if edits is not None else status}

    def _tally(self) -> list[dict[str, Any]]:
        """How many open tasks of each sort there are."""
        counts: Counter[tuple[Any, ...]] = Counter()
        for thing, _ in self.things["task"].values():
            row = _task(thing)
            if row["open"]:
                counts[tuple(row[name] for name in TALLIED)] += 1
        return [
            {**dict(zip(TALLIED, sort, strict=True)), "holder": sort[-1] or "", "open": count}
            for sort, count in counts.items()
        ]

    def _subjects(self) -> list[dict[str, Any]]:
        last: dict[str, tuple[int, str]] = {}
        for (subject, seq), (change, _) in self.changes.items():
            key = change.get("patient_key")
            if key is not None and seq > last.get(subject, (-1, ""))[0]:
                last[subject] = (seq, key)
        return [
            {"subject": subject, "key": key_of(subject), "patient_key": key, "seq": seq}
            for subject, (seq, key) in last.items()
        ]


def micros(text: str) -> int:
    at = datetime.fromisoformat(text)
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _told(
    kind: str, thing: dict[str, Any], value: bytes, said: dict[tuple[str, str, int], Any]
) -> dict[str, Any]:
    change = said.get((kind, thing[f"{kind}_id"], thing["version"]))
    own = thing["closed_at"] or thing["opened_at"]
    return {
        "value": value,
        "why": None if change is None else change["why"],
        "updated_at": micros(own if change is None else change["at"]),
    }


def _task(task: dict[str, Any]) -> dict[str, Any]:
    same = (
        "task_id", "version", "patient_key", "subject", "transition_id", "facility", "team", "kind",
        "status", "owner", "overdue", "born_overdue", "attribution",
    )  # fmt: skip
    return {
        **{name: task[name] for name in same},
        "open": task["status"] not in OVER,
        "rank": PRIORITIES.index(task["priority"]),
        "hurry": _hurry(task),
        "due_at": micros(task["due_at"]),
        "opened_at": micros(task["opened_at"]),
        "flags": "".join(f"|{flag}|" for flag in task["flags"]),
    }


def _hurry(task: dict[str, Any]) -> int:
    if task["overdue"] and task["born_overdue"] and task["priority"] in ("urgent", "routine"):
        return 2
    if task["priority"] != "routine":
        return 0
    return 1 if task["overdue"] else 3


def _gap(gap: dict[str, Any]) -> dict[str, Any]:
    same = (
        "gap_id", "version", "patient_key", "transition_id", "facility", "team", "code", "severity",
        "status", "occurrence",
    )  # fmt: skip
    return {
        **{name: gap[name] for name in same},
        "rank": SEVERITIES.index(gap["severity"]),
        "since": micros(gap["since"]),
        "opened_at": micros(gap["opened_at"]),
    }


def _transition(transition: dict[str, Any]) -> dict[str, Any]:
    same = ("transition_id", "version", "patient_key", "subject", "facility", "status")
    return {name: transition[name] for name in same}


def _change(change: dict[str, Any], value: bytes) -> dict[str, Any]:
    kind = next((k for k in ("task", "gap", "transition") if change.get(k) is not None), None)
    thing = change[kind] if kind is not None else {}
    about = change.get("notice") or change.get("command") or {}
    return {
        "subject": change["subject"],
        "seq": change["seq"],
        "patient_key": change.get("patient_key"),
        "at": micros(change["at"]),
        "change": change["change"],
        "kind": kind or change["change"].split(".")[0],
        "thing": thing[f"{kind}_id"] if kind else about.get("task_id") or about.get("gap_id"),
        "facility": thing.get("facility"),
        "team": thing.get("team"),
        "value": value,
    }


def _patient(key: str, value: bytes) -> dict[str, Any]:
    view = orjson.loads(value)
    name = view.get("name")
    if isinstance(name, dict):
        given = name.get("given") or []
        parts = [name.get("family"), *([given] if isinstance(given, str) else given)]
        parts.append(name.get("text"))
        name = " ".join(part for part in parts if part)
    words = sorted(set((name or "").replace(",", " ").casefold().split()))
    return {
        "patient_key": key,
        "version": view.get("version", 0),
        "name": " ".join(words) or None,
        "birth_date": view.get("birth_date"),
        "hours": _hours(view),
        "value": value,
    }


def _hours(view: dict[str, Any]) -> str | None:
    hours = (view.get("preferences") or {}).get("hours")
    return None if hours is None else orjson.dumps(hours).decode()


def _audit(value: bytes) -> dict[str, Any]:
    said = orjson.loads(value)
    same = {name: said[name] for name in ("audit_id", "actor", "action", "outcome")}
    return {**same, "at": micros(said["at"]), "value": value}


def _command(event: dict[str, Any], at: int) -> dict[str, Any] | None:
    """What somebody did and said, of events that people bring about."""
    kind, data = str(event["type"]).split("."), event["data"]
    if kind[:2] != ["care", "task"]:
        return None
    words = {name: data[name] for name in WORDS if data.get(name) is not None and data[name] != ""}
    return {
        "event": event["id"],
        "source": event["source"],
        "at": at,
        "thing": data.get("task_id") or data.get("gap_id"),
        "word": data.get("kind"),
        "value": orjson.dumps({"what": kind[2], "time": event["time"], **words}),
    }


def _letter(record: Record) -> dict[str, Any]:
    raw, headers = record.value or b"", dict(record.headers)
    return {
        "place": f"{record.topic}-{record.partition}-{record.offset}",
        "at": record.at,
        "reason": headers.get("reason", "unknown"),
        "stage": headers.get("stage", ""),
        "topic": headers.get("topic", ""),
        "facility": _sender(raw),
        "headers": orjson.dumps(headers),
        "size": int(headers.get("size", len(raw))),
        "value": raw[: 64 * 1024],
        "kind": None,  # a made history's letters are empty objects
        "digest": sha256(raw[: 64 * 1024]).digest()[:16],
    }


def _sender(raw: bytes) -> str | None:
    """A made history has canonical letters alone."""
    try:
        said = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    facility = said.get("facility") if isinstance(said, dict) else None
    return facility if isinstance(facility, str) else None


def file_of(folder: Path) -> Path:
    return folder / tables.FILE
