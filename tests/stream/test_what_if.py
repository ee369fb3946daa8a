"""Trying out a policy gives what replay gives under each of the two, and nothing is left behind."""

import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

import orjson
import pytest

import handlers
from events.files import Record
from orchestrator.core.instants import DAY, HOUR, read, written
from orchestrator.stream import shelf, what_if_process
from orchestrator.stream.compared import Sight
from orchestrator.stream.replay import replay
from orchestrator.stream.story import Story
from orchestrator.stream.what_if import LISTED, Question, tried, what_if
from schemas.facilities import Facilities
from schemas.policy import Policy, load_policies, parse_policies
from tests.simulation.differential import FACILITIES_YAML
from tests.simulation.histories import history
from tests.simulation.journal import accepted
from tests.stream.identity.histories import Teller

Event = dict[str, Any]

FACILITIES: Final = Facilities.parse(FACILITIES_YAML)
P0: Final = load_policies(None)
D: Final = read("2026-10-06T18:00:00Z")
HEAD: Final = "version: P9\neffective_from: 2031-01-01T00:00:00Z\n"
GUARD_S: Final = 120.0
# Everything that a policy moves: due times both ways, teams, what a disposition opens, windows.
OTHER: Final = parse_policies(
    HEAD
    + """
protocols:
  core:
    - {kind: CALL_48H, team: nurse-outreach, rule: ours/call-24h, outreach: true,
       due: {clock: elapsed, length: PT24H}}
    - {kind: PCP_VISIT_7D, team: scheduling, rule: ours/pcp-visit-9d,
       due: {clock: calendar, length: P9D}}
    - {kind: MED_REC, team: case-management, rule: core/med-rec,
       due: {clock: calendar, length: P7D}, completed_by: [prescriber, pharmacist, rn]}
  ama:
    - {kind: CALL_48H, team: nurse-outreach, rule: ours/ama, due: {clock: elapsed, length: PT24H}}
  handoff:
    - {kind: SNF_HANDOFF, team: case-management, rule: ours/handoff, priority: urgent,
       due: {clock: elapsed, length: PT24H}}
    - {kind: CALL_48H, team: nurse-outreach, rule: ours/snf-call,
       due: {clock: business, length: P1D}}
  custody: []
"""
)


@dataclass(frozen=True)
class Lines:
    """A journal that is a list."""

    lines: list[bytes]

    def size(self) -> int:
        return len(self.lines)

    def values(self) -> Iterator[bytes]:
        yield b'{"kind": "clock", "at": "2026-10-06T18:00:00Z"}'
        yield from self.lines


def journal(events: Iterable[Event]) -> Lines:
    """As intake writes them."""
    return Lines([orjson.dumps({"kind": "event", "event": event}) for event in events])


def ask(
    events: Sequence[Event],
    since: int,
    until: int,
    now: int,
    *,
    proposed: tuple[Policy, ...] = OTHER,
    sight: Sight | None = None,
) -> dict[str, Any]:
    """The answer, of a hundred listed at most."""
    question = Question(P0, proposed, FACILITIES, since, until, now, sight or Sight())
    return what_if(question, journal(events), unheard)


def unheard(done: int, total: int) -> None:
    """How far it is, told to nobody."""


def replayed(events: Sequence[Event], policies: Sequence[Policy], now: int) -> list[dict[str, Any]]:
    records = [
        Record(f"event:{number}", "canonical", orjson.dumps(event))
        for number, event in enumerate(events, 1)
    ]
    answer = replay(records, as_of=written(now), facilities=FACILITIES, policies=policies)
    found: list[dict[str, Any]] = answer["patients"]
    return found


def of_the_window(
    patients: list[dict[str, Any]], kind: str, since: int, until: int
) -> dict[str, dict[str, Any]]:
    """The tasks or gaps of the transitions whose discharge lies there."""
    inside = {
        one["transition_id"]
        for patient in patients
        for one in patient["transitions"]
        if since <= read(one["index_discharge_at"]) <= until
    }
    return {
        one[f"{kind}_id"]: one
        for patient in patients
        for one in patient[f"{kind}s"]
        if one["transition_id"] in inside
    }


WORK: Final = ("due_at", "team", "priority", "status", "status_reason", "tcm_contact_by")


def expected(
    was: Mapping[str, dict[str, Any]], now: Mapping[str, dict[str, Any]]
) -> tuple[Counter[str], dict[str, str]]:
    """The counts, and how each that differs does; worked out plainly."""
    ways: dict[str, str] = {}
    for name in was.keys() | now.keys():
        if name not in was:
            ways[name] = "new"
        elif name not in now:
            ways[name] = "gone"
        elif (before := read(was[name]["due_at"])) != (after := read(now[name]["due_at"])):
            ways[name] = "earlier" if after < before else "later"
        elif any(was[name].get(field) != now[name].get(field) for field in WORK):
            ways[name] = "changed"
        else:
            ways[name] = "same"
    return Counter(ways.values()), ways


def told_by_simulation(seed: int) -> list[Event]:
    """Three patients as hospitals tell of them, as intake journals it."""
    rng = Random(seed)
    return accepted([e for n in range(3) for e in history(rng, subject=f"GEN|P{n}").events])


def told_of_joined(seed: int) -> list[Event]:
    """Lives under several numbers, merged, un-merged and moved, some numbers claimed by many."""
    teller = Teller(Random(seed), commands=False)
    for _ in range(40):
        teller.next(list)
    return accepted(teller.said)


@pytest.mark.parametrize("told", [told_by_simulation, told_of_joined])
def test_it_is_what_replay_says_under_each_policy(told: Any) -> None:
    """For any history and window; and the histories are not too tame to show a difference."""
    sums: Counter[str] = Counter()
    for seed in range(30):
        events = told(seed)
        receipts = [read(event["receivedtime"]) for event in events]
        rng = Random(seed)
        since = rng.choice(receipts) - rng.randint(0, 40) * DAY
        until = since + rng.randint(1, 90) * DAY
        now = max(receipts) + rng.randint(0, 60) * DAY
        answer = ask(events, since, until, now)
        both = [replayed(events, p, now) for p in (P0, tried(P0, OTHER, since))]
        was, new = (of_the_window(one, "task", since, until) for one in both)
        counts, ways = expected(was, new)
        assert {k: v for k, v in answer["tasks"].items() if v} == dict(counts), seed
        listed = {(one["now"] or one["was"])["task_id"]: one for one in answer["items"]}
        assert listed.keys() == {name for name, way in ways.items() if way != "same"}, seed
        for name, one in listed.items():
            assert one["change"] == ways[name]
            for side, things in (("was", was), ("now", new)):
                got, wanted = one[side], things.get(name)
                assert (got is None) == (wanted is None)
                if got is not None and wanted is not None:
                    assert {f: got.get(f) for f in (*WORK, "rule", "version")} == {
                        f: wanted.get(f) for f in (*WORK, "rule", "version")
                    }, seed
        gaps = [of_the_window(one, "gap", since, until).keys() for one in both]
        assert answer["gaps"]["new"] == len(gaps[1] - gaps[0]), seed
        assert answer["gaps"]["gone"] == len(gaps[0] - gaps[1]), seed
        assert sum(answer["gaps"].values()) == len(gaps[0] | gaps[1]), seed
        assert answer["failed"] == 0
        sums += counts
    assert all(sums[way] > 2 for way in ("same", "earlier", "later")), sums
    if told is told_by_simulation:
        assert all(sums[way] > 2 for way in ("new", "gone", "changed")), sums


def discharge(number: int, at: int, facility: str = "GEN", **data: Any) -> list[Event]:
    """One stay that ended at *at*."""
    visit = {"visit_number": f"V{number}"}
    return accepted(
        [
            event(number, facility, "admission.opened", at - 2 * DAY, class_="INPATIENT", **visit),
            event(number, facility, "discharge.recorded", at, **visit, disposition="01", **data),
        ]
    )


def event(number: int, facility: str, what: str, at: int, **data: Any) -> Event:
    return {
        "specversion": "1.0",
        "id": f"{number}-{what}-{at}",
        "source": "hospital/adt",
        "type": f"care.{what}.v1",
        "time": written(at),
        "receivedtime": written(at + 60_000_000),
        "subject": f"{facility}|P{number}",
        "facility": facility,
        "data": {name.rstrip("_"): value for name, value in data.items()},
    }


def test_a_policy_for_a_day_to_come_is_tried_on_past_ones() -> None:
    """Its own `effective_from` lies years ahead; before the window all stays as it was."""
    events = [*discharge(1, D), *discharge(2, D + 10 * DAY)]
    answer = ask(events, D + DAY, D + 20 * DAY, D + 30 * DAY)
    assert answer["transitions"] == 1
    assert answer["version"] == "P9"
    (call,) = [one for one in answer["items"] if one["now"] and one["now"]["kind"] == "CALL_48H"]
    assert call["change"] == "earlier"
    assert call["was"]["due_at"] == written(D + 10 * DAY + 48 * HOUR)
    assert call["now"]["due_at"] == written(D + 10 * DAY + 24 * HOUR)
    assert call["was"]["policy_version"] == "P0"
    assert call["now"]["policy_version"] == "P9"


def test_both_ends_of_the_window_belong_to_it() -> None:
    """A discharge at the very instant counts, one a microsecond outside does not."""
    events = discharge(1, D)
    for since, until, wanted in (
        (D, D + DAY, 1),
        (D - DAY, D, 1),
        (D + 1, D + DAY, 0),
        (D - DAY, D - 1, 0),
    ):
        assert ask(events, since, until, D + DAY)["transitions"] == wanted


def test_both_reasons_are_told() -> None:
    """Why it is due when it is, under each; and of one that is gone, that nothing owes it."""
    gone = parse_policies(HEAD + "protocols: {core: [], ama: [], handoff: [], custody: []}\n")
    answer = ask(discharge(1, D), D, D, D + DAY, proposed=gone)
    assert answer["tasks"]["gone"] == 3
    (call,) = [one for one in answer["items"] if one["was"]["kind"] == "CALL_48H"]
    assert call["was_why"].endswith("a call is owed within 48 hours.")
    assert call["now_why"].endswith("; no such task is owed.")
    answer = ask(discharge(1, D), D, D, D + 5 * DAY)
    (call,) = [one for one in answer["items"] if one["was"]["kind"] == "CALL_48H"]
    # Not that it is overdue by now, but what made it due then.
    assert call["was_why"].endswith("a call is owed within 48 hours.")
    assert call["now_why"].endswith("a call is owed within 24 hours.")


def test_more_than_are_listed_are_counted() -> None:
    """The list is bounded for each way to differ, the counts are not; the earliest come first."""
    events = [one for n in range(LISTED + 20) for one in discharge(n, D + n * HOUR)]
    answer = ask(events, D, D + 30 * DAY, D + 30 * DAY)
    assert answer["tasks"]["earlier"] == LISTED + 20
    earlier = [one for one in answer["items"] if one["change"] == "earlier"]
    assert len(earlier) == LISTED
    due = [read(one["now"]["due_at"]) for one in earlier]
    assert due == sorted(due)
    assert answer["differing"] == sum(
        count for way, count in answer["tasks"].items() if way != "same"
    )


def test_only_what_the_asker_may_see_is_counted() -> None:
    """Facilities and the restricted team, on either side."""
    events = [*discharge(1, D), *discharge(2, D, "MID")]
    sight = Sight(frozenset({"MID"}))
    answer = ask(events, D, D, D + DAY, sight=sight)
    assert answer["transitions"] == 1
    assert {(one["now"] or one["was"])["facility"] for one in answer["items"]} == {"MID"}
    text = HEAD + (
        "teams: [nurse-outreach, scheduling, pharmacy, case-management, social-work, restricted,"
        " operations]\n"
        "protocols: {core: [{kind: CALL_48H, team: restricted, rule: r,"
        " due: {clock: elapsed, length: PT48H}}], ama: [], handoff: [], custody: []}\n"
    )
    shut = ask(events, D, D, D + DAY, proposed=parse_policies(text), sight=Sight(part2=False))
    assert "CALL_48H" not in {(one["now"] or one["was"])["kind"] for one in shut["items"]}
    assert shut["tasks"]["changed"] == 0
    free = ask(events, D, D, D + DAY, proposed=parse_policies(text))
    assert free["tasks"]["changed"] == 2


def test_the_first_receipt_that_is_known_is_told() -> None:
    """What the journal no longer holds is not known, and whoever asks learns how far it goes."""
    assert ask([], D, D, D)["journal_from"] is None
    events = discharge(1, D)
    assert ask(events, D, D, D + DAY)["journal_from"] == written(D - 2 * DAY + 60_000_000)


def test_a_patient_whom_nobody_can_decide_keeps_nobody_from_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bug of ours at one is counted; the others are answered."""
    real = Story.run

    def run(self: Any, told: Any, until: int) -> None:
        if "GEN|P1" in told:
            raise KeyError("GEN|P1")
        real(self, told, until)

    monkeypatch.setattr(Story, "run", run)
    answer = ask([*discharge(1, D), *discharge(2, D)], D, D, D + DAY)
    assert (answer["failed"], answer["transitions"]) == (1, 1)


def test_an_event_that_nobody_can_read_keeps_nobody_from_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same, met while the journal is read."""
    real = handlers.told

    def told(event: Event, facilities: Facilities) -> Any:
        if event["subject"] == "GEN|P1":
            raise KeyError("GEN|P1")
        return real(event, facilities)

    monkeypatch.setattr(handlers, "told", told)
    answer = ask([*discharge(1, D), *discharge(2, D)], D, D, D + DAY)
    assert (answer["failed"], answer["transitions"]) == (1, 1)


def test_how_far_it_is_grows_to_the_end() -> None:
    """Half of the way is reading, half deciding; never beyond, never back."""
    events = [one for n in range(400) for one in discharge(n, D)]
    seen: list[float] = []
    question = Question(P0, OTHER, FACILITIES, D, D, D + DAY)
    what_if(question, journal(events), lambda done, total: seen.append(done / total))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert any(0 < ratio < 0.5 for ratio in seen)
    assert any(0.5 < ratio < 1 for ratio in seen)


def test_nothing_about_a_patient_lies_on_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sorted has no name in any folder, so that no crash leaves it behind."""
    monkeypatch.setattr(shelf, "PAGES", -64)
    with shelf.Shelf(FACILITIES, D, D + DAY) as one:
        for _ in one.fill(journal([e for n in range(1000) for e in discharge(n, D)])):
            pass
        there = [str(one.readlink()) for one in Path("/proc/self/fd").iterdir() if one.is_symlink()]
        sorted_in = [name for name in there if "etilqs" in name]
        assert sorted_in, "it did not leave memory at all"
        assert all(name.endswith("(deleted)") for name in sorted_in)


def child(tmp_path: Path, lines: Lines, *, deaf: bool = False) -> "subprocess.Popen[bytes]":
    """The process that decides, asked."""
    question = Question(P0, OTHER, FACILITIES, D, D, D + DAY)
    process = subprocess.Popen(
        [sys.executable, "-c", what_if_process.PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    if deaf:
        process.stdout.close()
    process.stdin.write(pickle.dumps((question, lines, tmp_path)))
    process.stdin.close()
    return process


def test_the_process_answers_on_its_output_alone(tmp_path: Path) -> None:
    """Lines of JSON, the last with the result; the folder is as it was."""
    with child(tmp_path, journal(discharge(1, D))) as process:
        assert process.stdout is not None
        lines = [orjson.loads(line) for line in process.stdout]
    assert process.returncode == 0
    assert lines[-1]["result"]["transitions"] == 1
    assert all(line.keys() == {"done", "total"} for line in lines[:-1])
    assert list(tmp_path.iterdir()) == []


def test_the_process_ends_when_nobody_listens(tmp_path: Path) -> None:
    """Its parent is gone: nothing is decided for nobody."""
    process = child(tmp_path, journal([e for n in range(300) for e in discharge(n, D)]), deaf=True)
    assert process.wait(GUARD_S) == 1
    assert process.stderr is not None
    with process.stderr:
        assert b"Traceback" not in process.stderr.read()
