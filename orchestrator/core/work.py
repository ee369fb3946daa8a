"""What the accepted commands of one task add up to: status, owner, team, attempts, contact.

``contract.md`` §3 (what a command does to the status), rulings 19 and 21 to 23.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from orchestrator.core.calendar import local_day
from orchestrator.core.facts import Command
from orchestrator.core.policy import Policy

NEEDS_CLINICIAN: Final = "needs_escalation"
# Outcomes that settle the call without its script (ruling 23), and that nobody stated one (21).
WITHOUT_SCRIPT: Final = (None, "declined_followup", NEEDS_CLINICIAN)


DENIED: Final = ("no", "not", "without", "denies", "denied", "never")


@dataclass(slots=True)
class Work:
    """The state that people gave a task; *status* is None while nobody did anything."""

    status: str | None = None
    owner: str | None = None
    team: str | None = None
    completed: Command | None = None
    attempts: list[Command] = field(default_factory=list)
    declined: Command | None = None
    red_flags: list[Command] = field(default_factory=list)


def is_contact(command: Command, policy: Policy) -> bool:
    """
    Whether a completion settles the call: somebody was reached and the script was gone through.

    A completion that does not is an attempt.  Source: CMS TCM, "interactive contact"; rulings 21
    and 23.
    """
    if command.reached not in policy.reached_contact or command.outcome == "scheduling-only":
        return False
    if command.outcome in WITHOUT_SCRIPT:
        return True
    return all(str(command.answers.get(name) or "").strip() for name in policy.script_answers)


def is_unfinished(command: Command, policy: Policy) -> bool:
    """A completion that reached somebody but lacks answers of the script (ruling 23)."""
    reached = command.what == "completed" and command.reached in policy.reached_contact
    scripted = command.outcome not in (*WITHOUT_SCRIPT, "scheduling-only")
    return reached and scripted and not is_contact(command, policy)


def has_red_flag(command: Command, policy: Policy) -> bool:
    """An answer, or the outcome of that name, that asks for a clinician within the hour."""
    if command.outcome == NEEDS_CLINICIAN:
        return True
    symptoms, medicines = (_word(command.answers.get(name)) for name in ("symptoms", "medicines"))
    return medicines == "no" or any(_names(symptoms, flag) for flag in policy.red_flag_symptoms)


def _names(text: str, flag: str) -> bool:
    """
    Whether *text* is *flag*, or names it among other words; what is denied is not named.

    A clinician who is asked once too often harms less than one who is not (ruling 23 lists words).
    """
    before, found, _ = f"-{text}-".partition(f"-{flag}-")
    return bool(found) and before.rpartition("-")[2] not in DENIED


def _word(answer: object) -> str:
    """People write ``Chest pain`` and ``chest_pain, since noon`` for the list's ``chest-pain``."""
    return re.sub(r"[\W_]+", "-", str(answer or "").casefold()).strip("-")


def done(
    commands: Iterable[Command], *, call: bool, since: int, policy: Policy, joined: bool = False
) -> Work:
    """
    Fold the accepted commands of one task, in the order in which they were accepted.

    Args:
        commands: May be empty.
        call: Whether a completion must also have reached somebody, after *since*.
        since: The discharge; a contact before it does not count.
        policy: The transition's.
        joined: The patient has several numbers.  One of them may have been behind, so that
            commands were accepted in another order than they were received in: that one counts.
            What settles the task makes an end where it was accepted all the same.
    """
    work = Work()
    said = list(commands)
    end = next((one for one in said if _settles(one, call, since, policy)), None)
    if end is not None:
        del said[said.index(end) :]  # what follows came before it was known that this settled it
    if joined:
        said.sort(key=heard)
    for command in said:
        if command.what == "accepted":
            work.status, work.owner = "accepted", command.actor
        elif command.what in ("released", "rejected"):
            work.status, work.owner = "requested", None
        elif command.what == "reassigned":
            if command.to in policy.teams:
                work.status, work.owner, work.team = "requested", None, command.to
            else:
                work.status, work.owner = "accepted", command.to
        elif command.what in ("attempted", "completed"):
            work.status = "in-progress"
            work.attempts.append(command)
    if end is not None:
        work.status, work.completed = "completed", end
        if call and end.outcome == "declined_followup":
            work.declined = end
    if call:
        spoken = work.attempts if end is None else [*work.attempts, end]
        work.red_flags = [one for one in spoken if has_red_flag(one, policy)]
    return work


def heard(command: Command) -> int:
    """When it counts: what was said ahead of its time, then."""
    return max(command.stamp.receipt, command.stamp.time)


def _settles(command: Command, call: bool, since: int, policy: Policy) -> bool:
    if command.what != "completed":
        return False
    if call:
        return command.stamp.time >= since and is_contact(command, policy)
    # Other work may be done without anybody on the line; a call that reached nobody is none.
    return command.reached is None or command.reached in policy.reached_contact


def counted(attempts: Sequence[Command], since: int, policy: Policy) -> list[Command]:
    """The attempts that count: after the discharge, by a person, an hour apart (ruling 22)."""
    found: list[Command] = []
    for attempt in sorted(attempts, key=lambda c: (c.stamp.time, c.stamp.source, c.stamp.event)):
        at = attempt.stamp.time
        if at <= since or attempt.reached == "bot":
            continue
        if found and at - found[-1].stamp.time < policy.attempt_spacing:
            continue
        found.append(attempt)
    return found


def attempts_met(attempts: Sequence[Command], before: int, zone: str, policy: Policy) -> bool:
    """Two counted attempts on two local days inside the TCM window (ruling 22)."""
    inside = [attempt for attempt in attempts if attempt.stamp.time < before]
    days = {local_day(attempt.stamp.time, zone) for attempt in inside}
    return len(inside) >= policy.attempts_for_tcm and len(days) >= policy.attempt_days_for_tcm
