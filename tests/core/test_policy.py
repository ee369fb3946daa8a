"""The policy file: the built-in one, versions by date, and what is said of a wrong one."""

from pathlib import Path
from textwrap import dedent
from typing import Final

import pytest
import yaml

from orchestrator.core.instants import DAY, HOUR, SECOND, read, written
from orchestrator.stream.rules import rules
from schemas.policy import BUILT_IN, load_policies
from schemas.yaml_node import FileFault
from tests.core.builders import FACILITIES, P0, RULES, D, chart, discharged

# Issue 3, "Gaps", and the two that the call's red flag brings (ruling 23).
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
        "IDENTITY_UNRESOLVED",
        "MERGE_CONFLICT",
        "STALE_STAY",
        "ORPHAN_CANCEL",
        "UNREACHABLE",
        "EVENT_PARKED",
        "DATA_QUALITY",
        "FEED_SILENT",
        "CLINICAL_RED_FLAG",
    }
)
KINDS: Final = frozenset(
    {"CALL_48H", "PCP_VISIT_7D", "MED_REC", "SNF_HANDOFF", "RESCHEDULE", "CLINICAL_ESCALATION"}
)
LATER: Final = read("2027-01-01T00:00:00Z")
HEAD: Final = "version: P1\neffective_from: 2027-01-01T00:00:00Z\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "policy.yaml"


def test_the_built_in_policy_is_p0_and_always_in_force() -> None:
    """Without a file there are rules."""
    (policy,) = load_policies(None)
    assert policy.version == "P0"
    assert RULES.policy(read("1970-01-01T00:00:00Z")) is RULES.policy(D)


def test_every_gap_that_can_open_is_graded() -> None:
    """A code that the policy does not know could not be published."""
    assert set(P0.gaps) == GAPS


def test_every_kind_of_task_has_a_rule() -> None:
    """With a team, a due time and a name that says where it comes from."""
    assert set(P0.tasks) == KINDS
    assert all(rule.rule and rule.due.length > 0 for rule in P0.tasks.values())


def test_every_gap_and_task_goes_to_a_team_that_exists() -> None:
    """A queue nobody reads would be a task nobody does."""
    from schemas.topics import TEAMS

    teams = {rule.team for rule in P0.tasks.values()} | {row.team for row in P0.gaps.values()}
    assert teams <= set(TEAMS)


def test_every_code_and_kind_is_one_of_the_contract() -> None:
    """What the policy names, the published schema knows."""
    import schemas.gaps
    import schemas.tasks

    published = Path(schemas.gaps.__file__).read_text() + Path(schemas.tasks.__file__).read_text()
    assert [name for name in (*P0.gaps, *P0.tasks) if f'"{name}"' not in published] == []


@pytest.mark.parametrize(
    ("kind", "clock", "length"),
    [
        ("CALL_48H", "elapsed", 48 * HOUR),
        ("PCP_VISIT_7D", "calendar", 7),
        ("MED_REC", "calendar", 7),
        ("SNF_HANDOFF", "elapsed", 24 * HOUR),
        ("RESCHEDULE", "business", 1),
        ("CLINICAL_ESCALATION", "elapsed", HOUR),
    ],
)
def test_due_times_are_those_of_the_contract(kind: str, clock: str, length: int) -> None:
    """Contract, section 3."""
    due = P0.tasks[kind].due
    assert (due.clock, due.length) == (clock, length)


def test_dispositions_are_two_digits_and_those_from_81_on_are_planned() -> None:
    """NUBC; 81 to 95 are their base code with a planned readmission (ruling 10)."""
    assert all(len(code) == 2 and code.isdigit() for code in P0.dispositions)
    planned = {code for code, row in P0.dispositions.items() if row.planned}
    assert planned == {str(code) for code in range(81, 96)}


@pytest.mark.parametrize(
    ("shift", "version"), [(-SECOND, "P0"), (0, "P1"), (SECOND, "P1"), (400 * DAY, "P1")]
)
def test_the_discharge_chooses_the_version(file: Path, shift: int, version: str) -> None:
    """The one in force when the patient left, for ever (contract, section 6)."""
    file.write_text(HEAD + "weekend_escalation_hour: 9\n")
    both = rules(load_policies(file), FACILITIES)
    found = chart(discharged(LATER + shift), rules_=both, until=LATER + shift + 50 * HOUR)
    assert found.transition["policy_version"] == version
    assert {task["policy_version"] for task in found.tasks.values()} == {version}


def test_a_file_says_only_what_differs(file: Path) -> None:
    """A section left out is the built-in one's; one that is there is the whole section."""
    file.write_text(
        HEAD
        + dedent(
            """
            protocols:
              core:
                - {kind: CALL_48H, team: scheduling, rule: core/call-24h,
                   due: {clock: elapsed, length: PT24H}}
              ama: []
              handoff: []
              custody: []
            """
        )
    )
    found = chart(discharged(LATER), rules_=rules(load_policies(file), FACILITIES))
    assert {kind: (task["team"], task["due_at"]) for kind, task in found.tasks.items()} == {
        "CALL_48H": ("scheduling", written(LATER + 24 * HOUR))
    }
    assert {row.version for row in load_policies(file)} == {"P0", "P1"}


def test_a_file_may_hold_many_versions_in_any_order(file: Path) -> None:
    """Old ones stay: transitions of their time are still open."""
    file.write_text(
        """
- {version: B, effective_from: 2028-01-01T00:00:00Z}
- {version: A, effective_from: 2027-01-01T00:00:00Z}
"""
    )
    assert [row.version for row in load_policies(file)] == ["P0", "A", "B"]


def test_a_file_from_the_beginning_replaces_the_built_in_one(file: Path) -> None:
    """There is no time left in which P0 would hold."""
    file.write_text("version: OURS\neffective_from: 1970-01-01T00:00:00Z\n")
    assert [row.version for row in load_policies(file)] == ["OURS"]


def test_the_built_in_file_documents_a_form_that_reads(file: Path) -> None:
    """A copy of it is a policy file."""
    file.write_text(BUILT_IN.read_text(encoding="utf-8").replace("version: P0", "version: OURS"))
    assert load_policies(file)[-1].model_dump(exclude={"version"}) == load_policies(None)[
        0
    ].model_dump(exclude={"version"})


A_2027: Final = "version: A, effective_from: 2027-01-01T00:00:00Z"
FAULTS: Final = [
    ("", "must be a mapping"),
    ("[]: [", r"line \d+: is not YAML"),
    ("[]", "holds no policy"),
    (
        HEAD + "caused_tasks: [{kind: RESCHEDULE, team: scheduling, rule: r,"
        " due: {clock: elapsed, length: P999999W}}]",
        r"caused_tasks\.0\.due\.length: must be less",
    ),
    (HEAD + "seal_after_days: 36501", "seal_after_days: must be less"),
    ("just words", "must be a mapping"),
    ("effective_from: 2027-01-01T00:00:00Z", "version: is missing"),
    ("version: P1", "effective_from: is missing"),
    ("version: ''\neffective_from: 2027-01-01T00:00:00Z", "version: "),
    ("version: P1\neffective_from: 2027-01-01T00:00:00", "effective_from: needs an offset"),
    ("version: P1\neffective_from: soon", "effective_from: "),
    (HEAD + "weekend_escalation_hour: 24", "weekend_escalation_hour: "),
    (HEAD + "weekend_escalation_hour: early", "weekend_escalation_hour: "),
    (HEAD + "seal_after_days: 99", "seal_after_days: "),
    (HEAD + "colour: blue", "colour: "),
    (HEAD + "caused_tasks: [{kind: RESCHEDULE}]", r"caused_tasks\.0\.team: "),
    (HEAD + "unknown_disposition: {status: perhaps}", r"unknown_disposition\.status: "),
    (
        HEAD + "unknown_disposition: {status: active, protocol: nowhere}",
        r"protocol: must be one of ama, core",
    ),
    (
        HEAD + "dispositions: [{codes: ['01'], status: active, protocol: x}]",
        r"dispositions\.0\.protocol: must be",
    ),
    (
        HEAD + "dispositions: [{codes: ['01', '01'], status: none}]",
        r"line 3: dispositions\.0\.codes: a code stands twice",
    ),
    (
        HEAD + "windows: {tcm_period_days: many, readmission_days: 30, snf_silent_days: 30,"
        " planned_within_days: 2}",
        r"windows\.tcm_period_days: ",
    ),
    (
        HEAD + "caused_tasks: [{kind: RESCHEDULE, team: scheduling, rule: r,"
        " due: {clock: lunar, length: P1D}}]",
        r"caused_tasks\.0\.due\.clock: ",
    ),
    (
        HEAD + "caused_tasks: [{kind: RESCHEDULE, team: scheduling, rule: r,"
        " due: {clock: elapsed, length: two hours}}]",
        r"caused_tasks\.0\.due\.length: ",
    ),
    (
        f"[{{{A_2027}}}, {{version: B, effective_from: 2027-01-01T00:00:00Z}}]",
        "same effective_from",
    ),
    (
        f"[{{{A_2027}}}, {{version: A, effective_from: 2028-01-01T00:00:00Z}}]",
        "same version",
    ),
]


@pytest.mark.parametrize(("text", "message"), FAULTS)
def test_each_fault_names_the_file_and_the_field(file: Path, text: str, message: str) -> None:
    """Its author finds the place; the program does not start with rules nobody meant."""
    file.write_text(text)
    with pytest.raises(FileFault, match=message) as caught:
        load_policies(file)
    assert str(caught.value).startswith(str(file))


@pytest.mark.parametrize("missing", sorted(GAPS))
def test_a_gap_code_left_out_is_a_fault_of_the_file(file: Path, missing: str) -> None:
    """Else the first patient with that gap is parked as handler-failed, for ever."""
    kept = yaml.safe_load(BUILT_IN.read_text())["gaps"]
    del kept[missing]
    file.write_text(HEAD + yaml.safe_dump({"gaps": kept}))
    with pytest.raises(FileFault, match=rf"gaps: {missing} is missing"):
        load_policies(file)


@pytest.mark.parametrize("clock", ["calendar", "business"])
def test_half_a_day_is_no_number_of_days(file: Path, clock: str) -> None:
    """PT36H on the calendar would silently be one day."""
    file.write_text(
        HEAD + "caused_tasks: [{kind: RESCHEDULE, team: scheduling, rule: r,"
        f" due: {{clock: {clock}, length: PT36H}}}}]"
    )
    with pytest.raises(FileFault, match=r"caused_tasks\.0\.due"):
        load_policies(file)


def test_a_file_that_is_not_there_is_the_callers_matter(file: Path) -> None:
    """Exit code 2 and the name, by the command line."""
    with pytest.raises(FileNotFoundError):
        load_policies(file)
