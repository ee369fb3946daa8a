"""Every landed record against what became of it, exactly and per partition; and the senders' word.

A landed record was applied (its event stands in the change log), is a repeat of one that was, was
refused into the dead letters, or is a rehearsal that is passed over: one of these, not none and
not two.  Nothing stands in the journal or among the dead letters that nobody sent.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Literal, NamedTuple

from orchestrator.core.instants import read as instant
from orchestrator.stream.timekeeper import CLOCK_KEY
from tests.kafka.chaos.findings import Finding
from tests.kafka.chaos.recorded import Landed, Letter, Recorded, Row, name_of
from tests.kafka.chaos.sender import Attempt, sha

Result = Literal["applied", "duplicate", "dead-letter", "ignored", "unaccounted"]
Place = tuple[str, int, int]
Name = tuple[str, str, str]  # journal key, source, id


class Entry(NamedTuple):
    """One event of the journal: at its first record, and what it is to the events before it."""

    row: Row
    name: Name
    receipt: int
    sha: str
    result: Result
    event: str


class Account(NamedTuple):
    """What the input topics hold, and what became of it."""

    by_partition: dict[tuple[str, int], Counter[Result]]
    outcomes: Counter[str]
    findings: list[Finding]
    entries: list[Entry]
    redone: int  # journal records beyond the first: intake said them again after a crash


def account(recorded: Recorded) -> Account:
    """Account for all that landed."""
    findings: list[Finding] = []
    entries, redone = _entries(recorded.journal)
    of_event: dict[tuple[str, int], list[Entry]] = defaultdict(list)
    for entry in entries:
        of_event[entry.sha, entry.receipt].append(entry)
    letters = _letters(recorded.letters, findings)
    findings += _applied_once(recorded, entries)
    findings += _clashes_parked(recorded.letters, entries)
    by_partition: dict[tuple[str, int], Counter[Result]] = defaultdict(Counter)
    taken: Counter[tuple[str, int]] = Counter()
    for landed in recorded.landed:
        result, found = _fate(landed, recorded.attempts, of_event, letters, taken)
        by_partition[landed.topic, landed.partition][result] += 1
        findings += found
    findings += _invented(recorded, of_event, letters)
    outcomes, found = _resolved(recorded.attempts, recorded.landed)
    return Account(dict(by_partition), outcomes, findings + found, entries, redone)


def _entries(journal: dict[int, list[Row]]) -> tuple[list[Entry], int]:
    """The journal's events, each landed record once, in their order."""
    found: list[Entry] = []
    redone = 0
    for _, rows in sorted(journal.items()):
        first: dict[Name, str] = {}
        known: set[tuple[Name, str]] = set()
        said: Counter[tuple[Name, str, int]] = Counter()
        for row in rows:
            if row.key == CLOCK_KEY:
                continue
            plain = row.plain
            if plain["kind"] != "event":
                continue
            event = plain["event"]
            # A large event stands in the journal without the bytes that it was sent as.
            raw = sha(plain["raw"].encode()) if "raw" in plain else name_of(event)
            name = (row.key, event["source"], event["id"])
            receipt = instant(event["receivedtime"])
            said[name, raw, receipt] += 1
            if said[name, raw, receipt] > 1:
                redone += 1
                continue
            held = first.setdefault(name, raw)
            result: Result = "applied" if (name, held) not in known else "duplicate"
            if held != raw:
                result = "dead-letter" if (name, raw) not in known else "duplicate"
            known.add((name, raw))
            found.append(Entry(row, name, receipt, raw, result, event["id"]))
    return found, redone


def _letters(letters: list[Letter], findings: list[Finding]) -> dict[Place, Letter]:
    """Intake's dead letters by the record they are of; said twice, they must be the same."""
    found: dict[Place, Letter] = {}
    for letter in letters:
        if letter.headers.get("stage") != "intake":
            continue
        headers = letter.headers
        place = (headers["topic"], int(headers["partition"]), int(headers["offset"]))
        if found.setdefault(place, letter) != letter:
            findings.append(Finding("UNACCOUNTED", f"dead letter of {place}", "two contents"))
    return found


def _fate(
    landed: Landed,
    attempts: dict[str, Attempt],
    of_event: dict[tuple[str, int], list[Entry]],
    letters: dict[Place, Letter],
    taken: Counter[tuple[str, int]],
) -> tuple[Result, list[Finding]]:
    """What became of one landed record."""
    where = f"{landed.topic}-{landed.partition}@{landed.offset}"
    attempt = attempts.get(landed.attempt)
    if attempt is None or attempt.sha != landed.sha or attempt.topic != landed.topic:
        return "unaccounted", [Finding("UNACCOUNTED", where, "nobody sent this")]
    entries = of_event.get((landed.sha, landed.stamp), [])
    entries = entries or of_event.get((landed.event, landed.stamp), [])
    letter = letters.get((landed.topic, landed.partition, landed.offset))
    homes = [bool(entries), letter is not None]
    wanted = {"event": [True, False], "dead-letter": [False, True], "ignored": [False, False]}
    if homes != wanted[attempt.fate]:
        text = f"{attempt.fate}: journalled {homes[0]}, dead letter {homes[1]}"
        return "unaccounted", [Finding("UNACCOUNTED", where, text)]
    if letter is not None:
        return "dead-letter", _same_bytes(letter, landed, where)
    if attempt.fate == "ignored":
        return "ignored", []
    # Two copies in one millisecond cannot be told apart, and need not: one of them is a repeat.
    taken[landed.sha, landed.stamp] += 1
    again = taken[landed.sha, landed.stamp] > 1
    return ("duplicate" if again else entries[0].result), []


def _same_bytes(letter: Letter, landed: Landed, where: str) -> list[Finding]:
    """Small ones are kept whole; of the others the letter's headers tell which it was."""
    if letter.headers.get("sha256", "")[:32] == landed.sha or letter.sha == landed.sha:
        return []
    if landed.sha == "null" and letter.sha == sha(b""):
        return []
    return [Finding("UNACCOUNTED", where, "the dead letter has other bytes")]


def _applied_once(recorded: Recorded, entries: list[Entry]) -> Iterator[Finding]:
    """An applied event stands in the change log once, with its own receipt; no other does."""
    told: Counter[tuple[str, str, int]] = Counter()
    for changes in recorded.changes.values():
        for change in changes:
            if change.get("change") == "event.recorded":
                event = change["event"]
                receipt = instant(event["receivedtime"])
                told[change["patient_key"], event["id"], receipt] += 1
    wanted: Counter[tuple[str, str, int]] = Counter()
    for entry in entries:
        if entry.result == "applied":
            wanted[entry.name[0], entry.event, entry.receipt] += 1
    for one in sorted(told.keys() | wanted.keys()):
        if told[one] < wanted[one]:
            yield Finding("LOST", f"event {one[1]} of {one[0][:8]}", "journalled, not applied")
        elif told[one] > wanted[one]:
            yield Finding("DUP", f"event {one[1]} of {one[0][:8]}", f"applied {told[one]} times")


def _clashes_parked(letters: list[Letter], entries: list[Entry]) -> Iterator[Finding]:
    """The same name with other content is in decide's dead letters, once."""
    wanted = {(e.row.partition, e.row.offset): e for e in entries if e.result == "dead-letter"}
    found = Counter(
        (int(letter.headers["partition"]), int(letter.headers["offset"]))
        for letter in letters
        if letter.headers.get("stage") == "decide"
    )
    for place in sorted(wanted.keys() | found.keys()):
        if found[place] != (place in wanted):
            text = f"{found[place]} dead letters of decide, not {int(place in wanted)}"
            yield Finding("UNACCOUNTED", f"journal-{place[0]}@{place[1]}", text)


def _invented(
    recorded: Recorded,
    of_event: dict[tuple[str, int], list[Entry]],
    letters: dict[Place, Letter],
) -> Iterator[Finding]:
    """What stands in the journal or the dead letters, and landed nowhere."""
    landed = {(one.sha, one.stamp) for one in recorded.landed}
    landed |= {(one.event, one.stamp) for one in recorded.landed if one.event}
    for key, entries in of_event.items():
        if key not in landed:
            row = entries[0].row
            where = f"journal-{row.partition}@{row.offset}"
            yield Finding("UNACCOUNTED", where, "no landed record says this")
    places = {(one.topic, one.partition, one.offset) for one in recorded.landed}
    for place in letters.keys() - places:
        yield Finding("UNACCOUNTED", f"dead letter of {place}", "nothing landed there")


def _resolved(
    attempts: dict[str, Attempt], landed: list[Landed]
) -> tuple[Counter[str], list[Finding]]:
    """The three-valued history against the input topics."""
    outcomes: Counter[str] = Counter()
    findings = []
    places: dict[str, list[Landed]] = defaultdict(list)
    for one in landed:
        places[one.attempt].append(one)
    for name, attempt in attempts.items():
        found = places.get(name, [])
        outcomes[attempt.outcome] += 1
        outcomes["landed"] += bool(found)
        outcomes["landed twice"] += len(found) > 1
        if attempt.outcome == "info":
            outcomes["info landed" if found else "info absent"] += 1
        where = (attempt.topic, attempt.partition, attempt.offset)
        if attempt.outcome == "ok" and where not in [
            (f.topic, f.partition, f.offset) for f in found
        ]:
            findings.append(Finding("LOST", name, "acknowledged, and not where it was said to be"))
        if attempt.outcome == "fail" and found:
            findings.append(Finding("FALSE", name, "refused, and there all the same"))
    return outcomes, findings
