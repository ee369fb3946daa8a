"""What a clause about a gap says: `open ... high, since ...`, `close ... RESOLVED`."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tests.scenarios.expected_tasks import ANY, Fields
from tests.scenarios.instants import StoryError, read_instant

SEVERITIES: Final = frozenset({"critical", "high", "medium", "low", "info", ANY})


@dataclass(frozen=True, slots=True)
class GapClause:
    """
    One clause, read: `open TASK_OVERDUE(PCP_VISIT_7D)+TASK_OVERDUE(MED_REC) V1 high`.

    The subject stands in parentheses; without a transition the gap hangs on a stay, a patient or
    a facility, and its key ends in `-`.
    """

    verb: str
    codes: list[str]
    transition: str
    severity: str | None
    reason: str | None

    @property
    def keys(self) -> list[str]:
        """The readable keys of the gaps the clause is about."""
        return [f"gap {code} {self.transition}" for code in self.codes]


def read_gap_clause(verb: str, words: list[str]) -> GapClause:
    """Place each word of the clause; one left over is an error."""
    codes, *rest = words
    reason = rest.pop() if verb == "close" else None
    severity = rest.pop() if rest and rest[-1] in SEVERITIES else None
    transition = rest.pop() if rest else "-"
    if rest:
        raise StoryError(f"cannot place {rest}")
    if severity is None and verb in {"open", "record"}:
        raise StoryError("a gap opens with a severity")
    return GapClause(verb, codes.split("+"), transition, severity, reason)


def new_gap() -> Fields:
    """Before it first opens.  `since` is compared where a story says it."""
    return {"occurrence": 0, "evidence": {}, "since": ANY}


def edit_gap(gap: Fields, clause: GapClause, edits: list[str], at: datetime) -> None:
    """Apply *clause* to one gap; *at* is the row's instant: when we knew."""
    if clause.severity is not None:
        gap["severity"] = clause.severity
    match clause.verb:
        case "open" | "record":
            gap |= {
                "status": "open" if clause.verb == "open" else "recorded",
                "occurrence": gap["occurrence"] + 1,
                "opened_at": at,
                "closed_at": None,
                "close_reason": None,
            }
        case "close":
            gap |= {"status": "closed", "closed_at": at, "close_reason": clause.reason}
        case "suppress":
            gap |= {"status": "suppressed", "closed_at": ANY, "close_reason": ANY}
    for edit in edits:
        if edit.startswith("since "):
            gap["since"] = read_instant(edit.removeprefix("since "))
        elif edit == "operations":
            gap["team"] = edit
        elif match := re.fullmatch(r"(\w+)=(.*)", edit):
            gap["evidence"] = gap["evidence"] | {match[1]: _value(match[2])}
        else:
            raise StoryError(f"no such word for a gap: {edit!r}")


def _value(text: str) -> Any:
    if text in {"true", "false"}:
        return text == "true"
    return int(text) if text.isdigit() else text
