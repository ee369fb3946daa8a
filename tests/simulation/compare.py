"""The core's answer and the model's, brought to one form and laid side by side.

Both become rows of plain text, keyed by what they are about; a difference is a row that only one
of them has.  Closed transitions that may never have been published are left out (design.md: a
discharge whose cancellation came first reaches nobody), and so is the wording of scopes, which
the contract leaves open.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tests.simulation.model.calendar import text
from tests.simulation.model.calls import read_calls
from tests.simulation.model.dispositions import expects_readmission
from tests.simulation.model.gaps import Gap
from tests.simulation.model.tasks import TERMINAL, Task
from tests.simulation.model.transitions import Transition
from tests.simulation.reference import Standing

Rows = dict[str, str]
# The gap list of issue 3 that a patient's events decide.
SCOPE = frozenset(
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
    }
)
UNPUBLISHED = ("DISCHARGE_CANCELLED", "ADMIT_CANCELLED", "WRONG_PATIENT")
TRANSITION_FLAGS = (
    "AMA",
    "FROM_BACKFILL",
    "OPEN_STAY_ELSEWHERE",
    "TRANSFER_EXPECTED",
    "PLANNED_READMISSION_EXPECTED",
    "READMISSION_RISK_IN_ED",
)
TASK_FLAGS = ("CHART_ONLY", "FROM_BACKFILL")
LIVE_GAPS = ("open", "recorded")


def _row(values: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in values.items())


def _flags(flags: Iterable[str], known: tuple[str, ...]) -> str:
    return ",".join(sorted(set(flags) & set(known)))


def _transition_flags(transition: Transition, gaps: Iterable[Gap]) -> list[str]:
    at_risk = any(g.code == "READMISSION_RISK_IN_ED" and g.about == transition.id for g in gaps)
    said = {
        "AMA": transition.kind == "ama",
        "FROM_BACKFILL": transition.backfilled,
        "OPEN_STAY_ELSEWHERE": bool(transition.elsewhere),
        "TRANSFER_EXPECTED": transition.kind == "transfer",
        "PLANNED_READMISSION_EXPECTED": expects_readmission(transition.discharge.disposition),
        "READMISSION_RISK_IN_ED": at_risk,
    }
    return [flag for flag, holds in said.items() if holds]


def _model_task(task: Task) -> dict[str, Any]:
    by = read_calls(task.transition, []).contact_by if task.kind == "CALL_48H" else None
    return {
        "status": task.status,
        "due": text(task.due_at),
        "contact_by": text(by) if by else None,
        "owner": task.owner,
        "overdue": task.overdue,
        "born_overdue": task.born_overdue,
        "attribution": task.attribution,
        "priority": task.priority,
        "attempts": task.attempts,
        "tcm": task.tcm_contact_status,
        "appointment": task.appointment_id,
        "flags": _flags(task.flags, TASK_FLAGS),
    }


def model_rows(standing: Standing) -> Rows:
    """What the model says should stand, one row per thing."""
    rows: Rows = {}
    for transition in standing.transitions:
        reason = transition.end.reason if transition.end else None
        if reason in UNPUBLISHED:
            continue
        said = {"status": transition.status, "reason": reason, "index": text(transition.at)}
        if transition.status != "closed":
            said["flags"] = _flags(_transition_flags(transition, standing.gaps), TRANSITION_FLAGS)
            said["window"] = text(transition.window_ends)
        visit = transition.discharge.known_by.visit
        rows[f"transition {visit} {transition.id[:8]}"] = _row(said)
    for task in standing.live_tasks:
        rows[_task_key(task.kind, task.id, task.transition.id)] = _row(_model_task(task))
    for gap in standing.gaps:
        rows[_gap_key(gap.code, _short(gap.about), gap.subject)] = f"{gap.status} {gap.severity}"
    return rows


def _gap_key(code: str, about: str, subject: str) -> str:
    if code == "OVERLAPPING_STAYS":
        about = subject = ""  # which of the stays it names is left open
    return f"gap {code} {subject or '-'} of {about or 'the patient'}"


def _task_key(kind: str, task: str, transition: str) -> str:
    return f"task {kind} {task[:8]} of {transition[:8]}"


def _short(about: str) -> str:
    return about if about.startswith("stay") else about[:8]


def _last_word(name: str) -> str:
    return re.split(r"[|:/ ]", name)[-1]


def _subject(code: str, subject: str) -> str:
    """A gap's subject without the separators, which the contract leaves open."""
    if code == "TASK_OVERDUE":
        kind, *cause = re.split(r"[|:/ ]", subject, maxsplit=1)
        return "|".join([kind, *cause])
    return _last_word(subject)


def _core_task(task: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "status": task["status"],
        "due": task["due_at"],
        "contact_by": task["tcm_contact_by"],
        "owner": task["owner"],
        "overdue": task["overdue"],
        "born_overdue": task["born_overdue"],
        "attribution": task["attribution"],
        "priority": task["priority"],
        "attempts": task["attempts"],
        "tcm": task["tcm_contact_status"],
        "appointment": task["appointment_id"] if task["kind"] == "PCP_VISIT_7D" else None,
        "flags": _flags(task["flags"], TASK_FLAGS),
    }


def core_rows(patient: Mapping[str, Any]) -> Rows:
    """What the product's `replay` says stands for one patient, one row per thing."""
    rows: Rows = {}
    for row in patient["transitions"]:
        if row["close_reason"] in UNPUBLISHED:
            continue
        said = {
            "status": row["status"],
            "reason": row["close_reason"],
            "index": row["index_discharge_at"],
        }
        if row["status"] != "closed":
            said["flags"] = _flags(row["flags"], TRANSITION_FLAGS)
            said["window"] = row["readmission_window_ends_at"]
        rows[f"transition {row['visit_number']} {row['transition_id'][:8]}"] = _row(said)
    for task in patient["tasks"]:
        if task["status"] not in TERMINAL:
            key = _task_key(task["kind"], task["task_id"], task["transition_id"])
            rows[key] = _row(_core_task(task))
    for gap in patient["gaps"]:
        if gap["status"] in LIVE_GAPS and gap["code"] in SCOPE:
            about = (gap["transition_id"] or "")[:8]
            if not about and gap["scope"] and gap["scope"].startswith("stay"):
                about = "stay " + re.split(r"[|:]", gap["scope"])[2]
            subject = _subject(gap["code"], gap["subject"])
            rows[_gap_key(gap["code"], about, subject)] = f"{gap['status']} {gap['severity']}"
    return rows


def differences(model: Rows, core: Rows) -> list[str]:
    """Every row that differs, told so that a reader sees which side says what."""
    out = []
    for key in sorted(model.keys() | core.keys()):
        wanted, got = model.get(key), core.get(key)
        if wanted is None and got and got.startswith("status=closed"):
            continue  # published before it turned out to be none: only the ledger knows of it
        if wanted != got:
            if wanted and got:
                wanted, got = _unlike(wanted, got)
            out.append(f"{key}\n      model: {wanted}\n      core:  {got}")
    return out


def _unlike(one: str, other: str) -> tuple[str, str]:
    """Only the fields that differ."""
    left, right = one.split(" "), other.split(" ")
    if len(left) != len(right):
        return one, other
    pairs = [(a, b) for a, b in zip(left, right, strict=True) if a != b]
    return " ".join(a for a, _ in pairs), " ".join(b for _, b in pairs)


def kinds_of(found: list[str]) -> set[str]:
    """What sort of differences they are, so that a smaller history shows the same one."""
    out = set()
    for line in found:
        what, name = line.split(" ")[:2]
        fields = re.findall(r"(\w+)=", line) if "None" not in line.split("\n")[1:] else []
        out.add(" ".join([what, name if what != "transition" else "", *sorted(set(fields))]))
    return out


# Rules that read receipts, and so may tell apart two orders of receipt (design.md, property b).
READS_RECEIPTS = ("LATE_NOTIFICATION", "ADMIT_NOTICE_LATE", "ORPHAN_CANCEL")


def current_without_ids(patient: Mapping[str, Any]) -> dict[str, list[str]]:
    """What is live for a patient, told without ids and without what depends on receipts.

    A closed transition is history: the ED visit whose admission came late was one for a while.
    """
    name = {
        t["transition_id"]: f"{t['facility']}/{t['visit_number']}@{t['index_discharge_at']}"
        for t in patient["transitions"]
    }
    transitions = [
        f"{name[t['transition_id']]} {t['status']} {sorted(t['flags'])}"
        for t in patient["transitions"]
        if t["status"] != "closed"
    ]
    receipt_bound = ("born_overdue", "attribution", "priority")
    tasks = [
        f"{name[t['transition_id']]} {t['kind']} "
        + _row({k: v for k, v in _core_task(t).items() if k not in receipt_bound})
        for t in patient["tasks"]
        if t["status"] not in TERMINAL
    ]
    gaps = [
        f"{name.get(g['transition_id'], g['scope'])} {g['code']} {g['subject']} "
        f"{g['status']} {g['severity']}"
        for g in patient["gaps"]
        if g["status"] in LIVE_GAPS and g["code"] in SCOPE and g["code"] not in READS_RECEIPTS
    ]
    return {"transitions": sorted(transitions), "tasks": sorted(tasks), "gaps": sorted(gaps)}
