"""Promises that hold for every story, whatever it is about."""

import random
import re
from collections import defaultdict
from datetime import datetime
from typing import Any, Final

import orjson

from tests.scenarios.answer import Answer
from tests.scenarios.happenings import Event
from tests.scenarios.identity import gap_id, task_id
from tests.scenarios.instants import read_wire
from tests.scenarios.runner import replay

TERMINAL: Final = frozenset({"completed", "cancelled", "failed", "entered-in-error"})
_THINGS: Final = (("tasks", "task_id"), ("gaps", "gap_id"), ("transitions", "transition_id"))


def check_history(answers: list[tuple[datetime, Answer]]) -> None:
    """Across a story's answers: nothing published vanishes, changes or is numbered backwards."""
    versions: dict[str, int] = {}
    contents: dict[tuple[str, int], bytes] = {}
    changes: list[Any] = []
    for as_of, answer in answers:
        seen = dict(_things(answer))
        missing = versions.keys() - seen.keys()
        assert not missing, f"published before {as_of}, then gone: {missing}"
        for identity, thing in seen.items():
            version = thing["version"]
            assert version >= versions.get(identity, 1), f"version went down: {thing}"
            content = orjson.dumps(thing, option=orjson.OPT_SORT_KEYS)
            known = contents.setdefault((identity, version), content)
            assert known == content, f"two contents of version {version}: {known!r} {content!r}"
            versions[identity] = version
        kept = {subject: _of(changes, subject) for subject in _subjects(changes)}
        for subject, before in kept.items():
            now = _of(answer["changes"], subject)
            assert now[: len(before)] == before, f"the past changed before {as_of}: {subject}"
        changes = answer["changes"]


def check_answer(as_of: datetime, answer: Answer) -> None:
    """Within one answer: ids are computed, changes tell the whole history, overdue has its gap."""
    _check_changes(as_of, answer)
    for patient in answer["patients"]:
        active = [one for one in patient["transitions"] if one["status"] == "active"]
        assert len(active) <= 1, f"two active transitions (ruling 9): {active}"
        _check_ids(patient)
        _check_overdue(as_of, patient)


def _check_changes(as_of: datetime, answer: Answer) -> None:
    by_subject: dict[str, list[Any]] = defaultdict(list)
    latest: dict[str, Any] = {}
    counts: dict[str, int] = defaultdict(int)
    for change in answer["changes"]:
        by_subject[change["subject"]].append(change)
        assert read_wire(change["at"]) <= as_of, f"a change of the future: {change}"
        # screens.md, the "why" sentence: short, and a sentence, never a code.
        assert re.fullmatch(r"[^_]{8,140}", change["why"]), f"not a sentence: {change['why']}"
        for sort, identity in (("task", "task_id"), ("gap", "gap_id")):
            thing = change.get(sort)
            if thing and change["change"].startswith((f"{sort}.", "notice")):
                if latest.get(thing[identity], {}).get("version") != thing["version"]:
                    counts[thing[identity]] += 1
                latest[thing[identity]] = thing
    for subject, changes in by_subject.items():
        numbers = [change["seq"] for change in changes]
        assert numbers == list(range(1, len(numbers) + 1)), f"{subject}: seq {numbers}"
        stamps = [read_wire(change["at"]) for change in changes]
        assert stamps == sorted(stamps), f"{subject}: changes not in order"
    for identity, thing in _things(answer):
        if "transition_id" in thing and thing.get("task_id", thing.get("gap_id")) == identity:
            assert latest.get(identity) == thing, f"the last change is not the thing: {thing}"
            assert counts[identity] == thing["version"], f"a version without change: {thing}"


def _check_ids(patient: Any) -> None:
    for gap in patient["gaps"]:
        scope = gap["transition_id"] or gap["scope"]
        assert gap["gap_id"] == gap_id(scope, gap["code"], gap["subject"]), gap
    core = [one for one in patient["tasks"] if one["rule"].startswith("core/")]
    for task in core:
        if task["kind"] in {"CALL_48H", "PCP_VISIT_7D", "SNF_HANDOFF"}:
            assert task["task_id"] == task_id(task["transition_id"], task["kind"], ""), task


def _check_overdue(as_of: datetime, patient: Any) -> None:
    late = [task for task in patient["tasks"] if task["overdue"]]
    for task in patient["tasks"]:
        owed = task["status"] not in TERMINAL and read_wire(task["due_at"]) <= as_of
        assert task["overdue"] is owed, f"overdue at {as_of}? {task}"
        assert (task["attribution"] is not None) is task["overdue"], task
    live = [g for g in patient["gaps"] if g["code"] == "TASK_OVERDUE" and g["status"] == "open"]
    assert len(late) == len(live), f"{len(late)} overdue tasks, {len(live)} gaps"


def check_any_order(events: list[Event], as_of: datetime, facilities: str) -> None:
    """Shuffled, doubled, or with what is heard later: the same answer, byte for byte."""
    plain = _bytes(replay(events, as_of, facilities))
    for seed in range(3):
        source = random.Random(seed)
        mixed = events + [source.choice(events) for _ in range(len(events) // 2 + 1)]
        source.shuffle(mixed)
        assert _bytes(replay(mixed, as_of, facilities)) == plain, f"seed {seed}"


def check_default_end(events: list[Event], facilities: str) -> None:
    """Without `as_of` the clock ends at the latest receipt (contract §6)."""
    last = max(read_wire(event["receivedtime"]) for event in events)
    assert _bytes(replay(events, None, facilities)) == _bytes(replay(events, last, facilities))


def check_future_is_not_known(
    events: list[Event], as_of: datetime, facilities: str, answer: Answer
) -> None:
    """What is received after `as_of` is not in the answer."""
    assert _bytes(replay(events, as_of, facilities)) == _bytes(answer), f"as of {as_of}"


def _bytes(answer: Answer) -> bytes:
    """The answer without `rejected`, and each rejection once without its place in the input."""
    rejected = {(one["reason"], one["detail"]) for one in answer["rejected"]}
    return orjson.dumps({**answer, "rejected": sorted(rejected)}, option=orjson.OPT_SORT_KEYS)


def _things(answer: Answer) -> list[tuple[str, Any]]:
    found = [(gap["gap_id"], gap) for gap in answer["operations"]]
    for patient in answer["patients"]:
        for name, identity in _THINGS:
            found += [(thing[identity], thing) for thing in patient[name]]
    return found


def _subjects(changes: list[Any]) -> set[str]:
    return {change["subject"] for change in changes}


def _of(changes: list[Any], subject: str) -> list[Any]:
    return [change for change in changes if change["subject"] == subject]
