"""The policy file: every threshold and protocol of the care rules as data (``contract.md`` §6).

A file is one policy or a list of them, each with ``version`` and ``effective_from``; a section it
leaves out is the built-in one's (``policies/P0.yaml``, which also documents the form).  Old
versions stay in the file: a transition keeps the policy in force at its discharge.
"""

from collections.abc import Collection, Iterator
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
from pydantic_core import PydanticCustomError

from schemas.duration import parse_duration
from schemas.yaml_node import FieldFault, FileFault, Node, read_yaml

BUILT_IN: Final = Path(__file__).parent / "policies" / "P0.yaml"

_UNKNOWN: Final = "unknown"
Way = tuple[int | str, ...]  # the way to a field of the file

# More than ten years after a discharge nobody follows it up, and calendars come to an end.
Length = Annotated[
    timedelta,
    BeforeValidator(lambda text: parse_duration(str(text))),
    Field(le=timedelta(days=3_650)),
]
Days = Annotated[int, Field(ge=0, le=3_650)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, said: Any) -> Any:
        for name in said if isinstance(said, dict) else ():
            if name not in cls.model_fields:
                known = ", ".join(cls.model_fields)
                told = "is not known here; known: {known}"
                raise PydanticCustomError(_UNKNOWN, told, {"known": known, "field": str(name)})
        return said


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

    tcm_period_days: Days
    readmission_days: Days
    snf_silent_days: Days
    planned_within_days: Days


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
    seal_after_days: Annotated[int, Field(ge=100, le=36_500)]


def load_policies(path: str | Path | None) -> tuple[Policy, ...]:
    """
    The policies of a file, the built-in one first, ascending by ``effective_from``.

    Args:
        path: ``None``: only the built-in policy.

    Raises:
        FileFault: The file is wrong; the message names line and field, and what is allowed there.
        OSError: It cannot be opened.
    """
    if path is None:
        return (_built_in()[1],)
    try:
        return parse_policies(Path(path).read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise FileFault(f"{path}: is not UTF-8") from None
    except FileFault as fault:
        raise FileFault(f"{path}: {fault}") from None


def parse_policies(text: str) -> tuple[Policy, ...]:
    """
    The same of the text of a file.

    Raises:
        FieldFault: It is wrong; what stands in the wrong place is not repeated.
    """
    base, built_in = _built_in()
    root = read_yaml(text)
    try:
        plain = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):  # a day that no month has
        raise FieldFault(None, "", "holds a value that YAML cannot read") from None
    listed = isinstance(plain, list)
    found = []
    for number, one in enumerate(plain if listed else [plain]):
        try:
            found.append(_policy(one, base))
        except _Fault as fault:
            raise fault.found(root, (number,) if listed else ()) from None
    if not found:
        raise FieldFault(None, "", "holds no policy")
    if min(policy.effective_from for policy in found) > built_in.effective_from:
        found.append(built_in)
    found.sort(key=lambda policy: policy.effective_from)
    for one, two in pairwise(found):
        if one.effective_from == two.effective_from:
            raise FieldFault(None, "effective_from", "two policies have the same effective_from")
        if one.version == two.version:
            raise FieldFault(None, "version", "two policies have the same version")
    return tuple(found)


@cache
def _built_in() -> tuple[dict[str, Any], Policy]:
    """Read once: it is part of the program."""
    base = yaml.safe_load(BUILT_IN.read_text(encoding="utf-8"))
    return base, _policy(base, {})


class _Fault(ValueError):
    """What is wrong with one policy, and in which field."""

    def __init__(self, field: Way, complaint: str) -> None:
        super().__init__(complaint)
        self.field = field

    def found(self, root: Node | None, under: Way) -> FieldFault:
        """The same with its line; that of what should hold it, where it is missing."""
        at = root
        for name in (*under, *self.field):
            inside = at.value if at is not None else None
            if isinstance(inside, dict) and name in inside:
                at = inside[str(name)]
            elif isinstance(inside, list) and isinstance(name, int) and name < len(inside):
                at = inside[name]
            else:
                break
        field = ".".join(map(str, (*under, *self.field)))
        return FieldFault(None if at is None else at.line, field, str(self))


def _policy(said: Any, base: dict[str, Any]) -> Policy:
    if not isinstance(said, dict):
        raise _Fault((), "a policy must be a mapping")
    if base:
        for name in ("version", "effective_from"):
            if name not in said:
                raise _Fault((name,), "is missing")
    whole = {**base, **said}
    if isinstance(whole.get("effective_from"), datetime) and whole["effective_from"].tzinfo is None:
        raise _Fault(("effective_from",), "needs an offset")
    try:
        policy = Policy.model_validate(whole)
    except ValidationError as faults:
        first = faults.errors(include_input=False, include_url=False)[0]
        field = first["loc"]
        if first["type"] == _UNKNOWN:
            field = (*field, first["ctx"]["field"])
        raise _Fault(field, _plain(first["msg"])) from None
    for code in base.get("gaps", ()):
        if code not in policy.gaps:
            raise _Fault(("gaps",), f"{code} is missing")
    _check_references(policy)
    return policy


def _plain(message: str) -> str:
    """What the library says of a value, in the words of our own complaints."""
    return message.removeprefix("Value error, ").replace("Input should", "must")


KINDS: Final = frozenset(
    {"CALL_48H", "PCP_VISIT_7D", "MED_REC", "SNF_HANDOFF", "RESCHEDULE", "CLINICAL_ESCALATION"}
)


def _check_references(policy: Policy) -> None:
    for way, task in _tasks(policy):
        _one_of((*way, "kind"), task.kind, KINDS)
        _one_of((*way, "team"), task.team, policy.teams)
        if task.due.length <= timedelta(0):
            raise _Fault((*way, "due", "length"), "must be above zero")
    codes: set[str] = set()
    for number, row in enumerate(policy.dispositions):
        for code in row.codes:
            if code in codes:
                raise _Fault(("dispositions", number, "codes"), "a code stands twice")
            codes.add(code)
        _check_protocol(("dispositions", number), row, policy)
    _check_protocol(("unknown_disposition",), policy.unknown_disposition, policy)


def _tasks(policy: Policy) -> Iterator[tuple[Way, TaskPart]]:
    for name, rows in policy.protocols.items():
        yield from ((("protocols", name, number), row) for number, row in enumerate(rows))
    yield from ((("caused_tasks", number), row) for number, row in enumerate(policy.caused_tasks))


def _check_protocol(way: Way, row: DispositionPart, policy: Policy) -> None:
    if row.protocol:
        _one_of((*way, "protocol"), row.protocol, policy.protocols)


def _one_of(way: Way, said: str, allowed: Collection[str]) -> None:
    if said not in allowed:
        raise _Fault(way, f"must be one of {', '.join(sorted(allowed))}")
