"""The policy file: every threshold and protocol of the care rules as data (``contract.md`` §6).

A file is one policy or a list of them, each with ``version`` and ``effective_from``; a section it
leaves out is the built-in one's (``policies/P0.yaml``, which also documents the form).  Old
versions stay in the file: a transition keeps the policy in force at its discharge.
"""

from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from schemas.duration import parse_duration
from schemas.yaml_node import FileFault

BUILT_IN: Final = Path(__file__).parent / "policies" / "P0.yaml"

Length = Annotated[timedelta, BeforeValidator(lambda text: parse_duration(str(text)))]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class DuePart(_Part):
    """How a due time is counted: elapsed hours, local days, business days."""

    clock: Literal["elapsed", "calendar", "business"]
    length: Length

    @model_validator(mode="after")
    def _whole_days(self) -> Self:
        if self.clock != "elapsed" and self.length % timedelta(days=1):
            raise ValueError("days are counted whole")
        return self


class TaskPart(_Part):
    """One obligation."""

    kind: str
    team: str
    rule: str
    due: DuePart
    priority: Literal["routine", "urgent", "asap", "stat"] = "routine"
    outreach: bool = False
    completed_by: frozenset[str] = frozenset()


class DispositionPart(_Part):
    """What some discharge dispositions mean for the transition."""

    codes: tuple[str, ...] = ()
    status: Literal["active", "deferred", "closed", "none", "interim"]
    protocol: str = ""
    close_reason: str = ""
    arrival: Literal["", "acute", "facility"] = ""
    window_days: int = 30
    says_home: bool = False
    flags: tuple[str, ...] = ()


class GapPart(_Part):
    """How a gap code is graded."""

    severity: Literal["critical", "high", "medium", "low", "info"]
    otherwise: str = ""
    team: str
    acknowledged: bool = False


class CallsPart(_Part):
    """Rulings 21 to 23."""

    tcm_contact: DuePart
    attempt_spacing: Length
    attempts_for_tcm: int
    attempt_days_for_tcm: int
    unreachable_attempts: int
    unreachable_days: int
    reached: frozenset[str]
    answers: tuple[str, ...]
    red_flag_symptoms: frozenset[str]


class VisitsPart(_Part):
    """Rulings 25 to 29."""

    specialties: frozenset[str]
    modalities: frozenset[str]
    no_appointment_after: Length
    outcome_silent_after: Length
    tcm_days: tuple[int, int]


class WindowsPart(_Part):
    """Windows in local days."""

    tcm_period_days: int
    readmission_days: int
    snf_silent_days: int
    planned_within_days: int


class LatenessPart(_Part):
    """How late is late."""

    notification: Length
    lane: Length
    transfer_not_arrived: Length
    orphan_cancel: Length
    command_wait: Length
    stale: dict[str, Length]
    feed_silent_intervals: int


class Policy(_Part):
    """One version of the rules."""

    version: Annotated[str, Field(min_length=1, max_length=64)]
    effective_from: AwareDatetime
    # A team's queue is a topic of its name.
    teams: frozenset[Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")]]
    transition_classes: frozenset[str]
    stay_elsewhere_classes: frozenset[str]
    hospital_types: frozenset[str]
    acute_types: frozenset[str]
    facility_types: frozenset[str]
    protocols: dict[str, tuple[TaskPart, ...]]
    caused_tasks: tuple[TaskPart, ...]
    dispositions: tuple[DispositionPart, ...]
    unknown_disposition: DispositionPart
    planned_dispositions: frozenset[str]
    gaps: dict[str, GapPart]
    calls: CallsPart
    visits: VisitsPart
    windows: WindowsPart
    lateness: LatenessPart
    elective_admit_types: frozenset[str]
    weekend_escalation_hour: Annotated[int, Field(ge=0, le=23)]
    seal_after_days: Annotated[int, Field(ge=100)]


def load_policies(path: str | Path | None) -> tuple[Policy, ...]:
    """
    The policies of a file, the built-in one first, ascending by ``effective_from``.

    Args:
        path: ``None``: only the built-in policy.

    Raises:
        FileFault: The file is wrong; the message names the field.
        OSError: It cannot be opened.
    """
    base, built_in = _built_in()
    if path is None:
        return (built_in,)
    try:
        plain = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as fault:
        line = getattr(getattr(fault, "problem_mark", None), "line", None)
        where = f" line {line + 1}:" if line is not None else ""
        raise FileFault(f"{path}:{where} is not YAML") from None
    said = plain if isinstance(plain, list) else [plain]
    found = [_policy(one, base, str(path)) for one in said]
    first = min(policy.effective_from for policy in found)
    if first > built_in.effective_from:
        found.append(built_in)
    found.sort(key=lambda policy: policy.effective_from)
    for one, two in pairwise(found):
        if one.effective_from == two.effective_from:
            raise FileFault(f"{path}: two policies have the same effective_from")
        if one.version == two.version:
            raise FileFault(f"{path}: two policies have the same version")
    return tuple(found)


@cache
def _built_in() -> tuple[dict[str, Any], Policy]:
    """Read once: it is part of the program."""
    base = yaml.safe_load(BUILT_IN.read_text(encoding="utf-8"))
    return base, _policy(base, {}, "P0")


def _policy(said: Any, base: dict[str, Any], where: str) -> Policy:
    if not isinstance(said, dict):
        raise FileFault(f"{where}: a policy must be a mapping")
    if base:
        for name in ("version", "effective_from"):
            if name not in said:
                raise FileFault(f"{where}: {name}: is missing")
    whole = {**base, **said}
    if isinstance(whole.get("effective_from"), datetime) and whole["effective_from"].tzinfo is None:
        raise FileFault(f"{where}: effective_from: needs an offset")
    try:
        policy = Policy.model_validate(whole)
    except ValidationError as fault:
        first = fault.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise FileFault(f"{where}: {field}: {first['msg']}") from None
    for code in base.get("gaps", ()):
        if code not in policy.gaps:
            raise FileFault(f"{where}: gaps: {code} is missing")
    _check_references(policy, where)
    return policy


KINDS: Final = frozenset(
    {"CALL_48H", "PCP_VISIT_7D", "MED_REC", "SNF_HANDOFF", "RESCHEDULE", "CLINICAL_ESCALATION"}
)


def _check_references(policy: Policy, where: str) -> None:
    codes: set[str] = set()
    for task in (*(t for rows in policy.protocols.values() for t in rows), *policy.caused_tasks):
        if task.kind not in KINDS:
            raise FileFault(f"{where}: {task.kind}: no rule knows this task kind")
        if task.team not in policy.teams:
            raise FileFault(f"{where}: {task.kind}: team {task.team} is not in teams")
        if task.due.length <= timedelta(0):
            raise FileFault(f"{where}: {task.kind}: due.length must be above zero")
    for row in (*policy.dispositions, policy.unknown_disposition):
        if row.protocol and row.protocol not in policy.protocols:
            raise FileFault(f"{where}: dispositions: protocol {row.protocol} is not defined")
        for code in row.codes:
            if code in codes:
                raise FileFault(f"{where}: dispositions: {code} stands twice")
            codes.add(code)
