"""The product's answer beside what a story says: each difference, in the stories' own words."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from tests.scenarios.expected import Expected
from tests.scenarios.expected_tasks import ANY, CORE, Fields
from tests.scenarios.identity import task_id
from tests.scenarios.instants import read_wire, wire

Answer = dict[str, Any]

# The gaps that exist so far.  Others belong to later chapters (medication comparison, consent,
# case management, risk, identity) and are not compared.
GAPS: Final = frozenset(
    {
        "TASK_OVERDUE",
        "TCM_CONTACT_WINDOW_MISSED",
        "NO_PCP_APPOINTMENT",
        "PCP_APPT_OUT_OF_WINDOW",
        "PCP_NO_SHOW",
        "APPT_OUTCOME_UNKNOWN",
        "NO_PCP_ON_FILE",
        "LATE_NOTIFICATION",
        "ADMIT_NOTICE_LATE",
        "READMISSION_30D",
        "RETURN_ED",
        "RETURN_OBS",
        "READMISSION_RISK_IN_ED",
        "TRANSFER_NOT_ARRIVED",
        "SNF_STATUS_UNKNOWN",
        "DISPOSITION_UNKNOWN",
        "DISPOSITION_CONFLICT",
        "OVERLAPPING_STAYS",
        "STALE_STAY",
        "ORPHAN_CANCEL",
        "UNREACHABLE",
        "EVENT_PARKED",
        "DATA_QUALITY",
        "FEED_SILENT",
        "CLINICAL_RED_FLAG",
    }
)
# A hint whose opening is described nowhere ("same-day hint", scenario 8).
UNSETTLED_TASK_FLAGS: Final = frozenset({"SAME_DAY"})


def compare(answer: Answer, expected: Expected) -> list[str]:
    """Each difference in one line; none when all is as the story says."""
    seen = dict(project(answer, expected))
    differences: list[str] = []
    for key in sorted((seen.keys() | expected.things.keys()) - expected.unsettled):
        if key not in seen:
            differences.append(f"missing     {key}: {_show(expected.things[key])}")
        elif key not in expected.things:
            differences.append(f"unexpected  {key}: {_show(seen[key])}")
        else:
            differences += _compare_fields(key, seen[key], expected.things[key])
    told = sorted(_notices(answer, expected))
    anyone = {(at, about) for at, to, about in expected.notices if to == ANY}
    told = [(at, ANY if (at, about) in anyone else to, about) for at, to, about in told]
    if told != sorted(expected.notices):
        differences.append(f"notices     {told}, not {sorted(expected.notices)}")
    reasons = sorted(one["reason"] for one in answer["rejected"])
    if reasons != sorted(expected.refused):
        differences.append(f"rejected    {reasons}, not {sorted(expected.refused)}")
    episodes = [one["visits"] for patient in answer["patients"] for one in patient["episodes"]]
    differences += [
        f"episode     {visits} is not one of {episodes}"
        for visits in expected.episodes
        if visits not in episodes
    ]
    return differences


def _compare_fields(key: str, seen: Fields, expected: Fields) -> Iterator[str]:
    for name, wanted in expected.items():
        got = seen[name]
        if name == "evidence":  # a story names the part that matters
            got = {part: got.get(part) for part in wanted}
        if not (isinstance(wanted, str) and wanted == ANY) and got != wanted:
            yield f"differs     {key}: {name} is {_one(got)}, not {_one(wanted)}"


def _show(fields: Fields) -> str:
    return ", ".join(f"{name} {_one(value)}" for name, value in fields.items() if value)


def _one(value: Any) -> str:
    return wire(value) if isinstance(value, datetime) else str(value)


def project(answer: Answer, expected: Expected) -> Iterator[tuple[str, Fields]]:
    """The part of *answer* that stories speak of, under the stories' own names."""
    for patient in answer["patients"]:
        for stay in patient["stays"]:
            yield f"stay {stay['visit_number']}", _project_stay(stay)
        for transition in patient["transitions"]:
            name = _name(transition["transition_id"], expected)
            yield f"transition {name}", _project_transition(transition)
        for task in patient["tasks"]:
            yield _task_key(task, expected), _project_task(task)
    for gap in [gap for patient in answer["patients"] for gap in patient["gaps"]]:
        if gap["code"] in GAPS:
            yield gap_key(gap, expected), _project_gap(gap)
    for gap in answer["operations"]:
        if gap["code"] in GAPS:
            yield gap_key(gap, expected), _project_gap(gap)


def _name(transition: str | None, expected: Expected) -> str:
    if transition is None:
        return "-"
    return expected.transitions.get(transition, f"(transition {transition} of no story)")


def _task_key(task: Fields, expected: Expected) -> str:
    kind, transition = task["kind"], task["transition_id"]
    name = _name(transition, expected)
    if task["task_id"] == task_id(transition, kind, ""):
        return f"task {kind} {name}"
    for key in expected.things:
        match = re.fullmatch(rf"task {kind}\((.+)\) {re.escape(name)}", key)
        if match and (match[1] == "*" or task["task_id"] == task_id(transition, kind, match[1])):
            return key
    return f"task {kind}(of unknown cause) {name}"


def gap_key(gap: Fields, expected: Expected) -> str:
    """`gap TASK_OVERDUE(CALL_48H) V1`; `-` where the gap is not of a transition."""
    subject = gap["subject"]
    if gap["code"] == "TASK_OVERDUE":
        kind = re.match(r"[A-Z0-9_]*", subject)
        if kind and kind[0] not in {*CORE, "SNF_HANDOFF"}:
            subject = f"{kind[0]}*"  # "kind (and cause)": how they are joined is not said
    inside = f"({subject})" if subject else ""
    return f"gap {gap['code']}{inside} {_name(gap['transition_id'], expected)}"


def _instant(text: str | None) -> datetime | None:
    return None if text is None else read_wire(text)


def _code(coded: Any) -> str | None:
    """A disposition stands as a code or as `{system, code, text}`."""
    code = coded.get("code") if isinstance(coded, dict) else coded
    return code or None


def _project_stay(stay: Fields) -> Fields:
    kept = {name: stay[name] for name in ("facility", "class", "status", "precision")}
    return kept | {
        "admitted_at": _instant(stay["admitted_at"]),
        "discharged_at": _instant(stay["discharged_at"]),
        "disposition": _code(stay["disposition"]),
        "flags": set(stay["flags"]),
    }


def _project_transition(transition: Fields) -> Fields:
    return {
        "status": transition["status"],
        "close_reason": transition["close_reason"],
        "facility": transition["facility"],
        "visit": transition["visit_number"],
        "subject": transition["subject"],
        "disposition": _code(transition["disposition"]),
        "flags": set(transition["flags"]),
        "opened_at": _instant(transition["opened_at"]),
        "closed_at": _instant(transition["closed_at"]),
        "index": _instant(transition["index_discharge_at"]),
        "tcm_ends": _instant(transition["tcm_period_ends_at"]),
        "window_ends": _instant(transition["readmission_window_ends_at"]),
        "codes": [str(code) for code in transition["tcm_candidate_codes"]],
        "navigation": transition["navigation_difficulty"],
        "hrrp": transition["hrrp_index"],
    }


def _project_task(task: Fields) -> Fields:
    same = "status team priority owner overdue born_overdue attribution attempts status_reason"
    return {name: task[name] for name in same.split()} | {
        "due_at": _instant(task["due_at"]),
        "lateness": None if task["lateness"] is None else _duration(task["lateness"]),
        "contact": task["tcm_contact_status"],
        "contact_by": _instant(task["tcm_contact_by"]),
        "flags": set(task["flags"]) - UNSETTLED_TASK_FLAGS,
        "appointment": task["appointment_id"],
        "opened_at": _instant(task["opened_at"]),
        "closed_at": _instant(task["closed_at"]),
    }


def _project_gap(gap: Fields) -> Fields:
    same = "status severity occurrence close_reason evidence team"
    return {name: gap[name] for name in same.split()} | {
        "opened_at": _instant(gap["opened_at"]),
        "closed_at": _instant(gap["closed_at"]),
        "since": _instant(gap["since"]),
    }


def _duration(text: str) -> timedelta:
    """ISO 8601, days to seconds; `P3D` and `PT72H` are one."""
    match = re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", text)
    assert match is not None, f"not an ISO 8601 duration: {text}"
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def _notices(answer: Answer, expected: Expected) -> Iterator[tuple[datetime, str, str]]:
    for patient in answer["patients"]:
        tasks = {task["task_id"]: _task_key(task, expected) for task in patient["tasks"]}
        for notice in patient["notices"]:
            about = tasks.get(notice["task_id"], notice["task_id"])
            yield read_wire(notice["at"]), notice["to"], about
