"""Dead letters and what became of them as text: words of ours, no byte of theirs."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from orchestrator.cli import console
from orchestrator.cli.console import counted
from orchestrator.ops import spans
from orchestrator.worklist.instants import SECOND, text_of
from orchestrator.worklist.model import letters
from orchestrator.worklist.pages import dead_letter_words

if TYPE_CHECKING:
    from orchestrator.worklist.model.letters import Edit, Letter, Try
    from schemas.facilities import Facilities

# Ours: what else stands in headers came from the sender, and may be about the patient.
_HEADERS: Final = (
    "reason", "stage", "topic", "partition", "offset", "error", "size", "sha256",
    letters.EDITS, letters.EDITOR,
)  # fmt: skip
_COLUMNS: Final = ("id", "age", "reason", "feed", "where", "tries")
# On a narrow terminal these go first: `dlq show` says them.
_SPARED: Final = ("where", "feed", "tries")
_LABEL: Final = 10
# A field of HL7 v2 or a JSON pointer, as the reasons of a refusal name them.
_FIELD: Final = re.compile(r"\b[A-Z][A-Z0-9]{2}-\d+|(?<!\S)/[a-z_/0-9]+")
_RETRY: Final = "Show: dlq show ID    Retry: dlq retry ID | --reason R [--dry-run]"


class Shown(NamedTuple):
    """All that is told of one letter."""

    letter: "Letter"
    edits: "Sequence[Edit]"
    tries: "Sequence[Try]"
    segments: Sequence[str]


def table(found: "Sequence[Letter]", facilities: "Facilities", now: int) -> list[str]:
    """A line each, as wide as the terminal is."""
    rows = [_row(letter, facilities, now) for letter in found]
    return console.table(_COLUMNS, rows, right=("tries",), spared=_SPARED)


def _row(letter: "Letter", facilities: "Facilities", now: int) -> tuple[str, ...]:
    return (
        letter.place,
        _age(letter.at, now),
        plain(letter.reason),
        letters.feed_of(letter, facilities) or "-",
        _where(letter),
        str(letter.tries),
    )


def _where(letter: "Letter") -> str:
    """``publish PV1``: who refused it, and for which field; of several the first's segment."""
    fields = _FIELD.findall(letter.headers.get("error", ""))
    if not fields:
        return plain(letter.stage)
    first = fields[0] if len(set(fields)) == 1 else fields[0].partition("-")[0]
    return f"{plain(letter.stage)} {first.removeprefix('/data').removeprefix('/')}"


def last_line(status: str, found: "Sequence[Letter]", now: int) -> str:
    """How many there are, and what can be done about them."""
    if status != "open":
        return f"{counted(len(found), 'letter')} {status}. Show: dlq show ID"
    if not found:
        return "No dead letter waits."
    oldest = _age(min(letter.at for letter in found), now)
    return f"{len(found):,} waiting, oldest {oldest}. {_RETRY}"


def in_full(shown: Shown, facilities: "Facilities", now: int) -> list[str]:
    """One letter: what is wrong with it, what mends it, where it lay, what was done."""
    letter = shown.letter
    words = [f"{letter.place}  {letter.status}, {_tries(letter.tries)}"]
    words += _line("reason", f"{plain(letter.reason)}: {dead_letter_words.reason(letter.reason)}")
    words += _line("error", letter.headers.get("error"))
    words += _line("message", letter.kind)
    words += _line("cure", dead_letter_words.cure(letter.reason))
    words += _line("where", f"{_where(letter)}: {dead_letter_words.stage(letter.stage)}")
    words += _line("came", f"{text_of(letter.at)}, {_age(letter.at, now)} ago")
    words += _line("feed", letters.feed_of(letter, facilities) or "not known")
    words += _line("size", f"{letter.size:,} bytes")
    words += _line("segments", " ".join(shown.segments))
    words += _line("headers", *(f"{name}={said}" for name, said in _headers(letter).items()))
    words += _line(
        "edits",
        *(f"{one.place}  {text_of(one.at)}  {one.by}  {one.size:,} bytes" for one in shown.edits),
    )
    words += _line(
        "done",
        *(f"{text_of(one.at)}  {one.by}  {one.action}: {one.outcome}" for one in shown.tries),
    )
    words += _line("because", letter.purpose if letter.status == "discarded" else None)
    return words


def _line(label: str, *texts: str | None) -> Iterable[str]:
    said = [plain(text) for text in texts if text]
    labels = [label, *[""] * len(said)]
    return [f"  {name:{_LABEL}}{text}" for name, text in zip(labels, said, strict=False)]


def _headers(letter: "Letter") -> dict[str, str]:
    return {name: letter.headers[name] for name in _HEADERS if name in letter.headers}


def _tries(number: int) -> str:
    return "1 try" if number == 1 else f"{number:,} tries"


def as_plain(shown: Shown, facilities: "Facilities") -> dict[str, Any]:
    """The same for programs."""
    reason = shown.letter.reason
    return {
        **letters.as_plain(shown.letter, facilities),
        "words": dead_letter_words.reason(reason),
        "cure": dead_letter_words.cure(reason),
        "headers": _headers(shown.letter),
        "segments": list(shown.segments),
        "edits": [
            {"id": one.place, "at": text_of(one.at), "by": one.by, "size": one.size}
            for one in shown.edits
        ],
        "done": [
            {"at": text_of(one.at), "by": one.by, "action": one.action, "outcome": one.outcome}
            for one in shown.tries
        ],
    }


def result(one: Mapping[str, Any], *, dry_run: bool) -> str:
    """What became of a letter, or would: ``accepted: 3 tasks changed``."""
    match one["result"]:
        case "refused":
            why = plain(": ".join(filter(None, (one["reason"], one["detail"]))))
            came = f"; it came back as {one['dead_letter']}" if one["dead_letter"] else ""
            return f"{'would be ' * dry_run}refused: {why}{came}"
        case "ignored":
            return f"{'would be ' * dry_run}ignored: it is legal, and not used here"
        case "pending":
            return "stored: not decided on yet; `lag` says how far behind the deciding is"
    if dry_run:
        return "would be accepted"
    tasks = "no task" if not one["tasks_changed"] else counted(one["tasks_changed"], "task")
    return f"accepted: {tasks} changed"


def results(many: Mapping[str, Any]) -> list[str]:
    """The same of many, and how many there were of each."""
    dry_run = many["dry_run"]
    lines = [f"  {one['id']}  {result(one, dry_run=dry_run)}" for one in many["items"]]
    if (more := many["letters"] - len(many["items"])) > 0:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in many["reasons"].items())
        lines.append(f"  and {more:,} more" + (f"; refused in all: {reasons}" if reasons else ""))
    names = ("accepted", "ignored", "refused", "pending")
    ends = [f"{many[name]:,} {name}" for name in names if many[name]]
    total = ", ".join(ends) or "nothing was sent"
    return [*lines, f"Would be: {total}. Nothing was sent." if dry_run else f"{total}."]


def plain(text: str) -> str:
    """What came from outside, without anything that a terminal would obey."""
    return "".join(one if one.isprintable() else "?" for one in text)


def readable(raw: bytes) -> str:
    """A message for a person's eyes: a segment a line, and nothing that a terminal would obey."""
    lines = raw.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(map(plain, lines))


def _age(at: int, now: int) -> str:
    return spans.of_seconds(max(0, now - at) / SECOND)
