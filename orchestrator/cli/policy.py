"""``policy show`` and ``policy check``: the rules in force, and whether a file can be used."""

from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestrator.cli import site, words
from orchestrator.cli.console import counted, hint, say, say_json
from orchestrator.cli.faults import No, as_mistakes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.policy import DuePart, Policy


EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)  # how a policy file says "from the beginning"


def show(path: Path | None, *, as_json: bool) -> None:
    """Print every version of the policy, the newest last."""
    policies = site.policies_of(site.load(policy=path))
    if as_json:
        say_json([policy.model_dump(mode="json") for policy in policies])
        return
    for policy, later in zip_longest(policies, policies[1:]):
        _print(policy, later)


def check(path: Path, facilities: Path | None, *, as_json: bool) -> None:
    """Exit 1 and say where, if the file (or the facilities file) cannot be used."""
    from schemas.facilities import Facilities
    from schemas.policy import load_policies
    from schemas.yaml_node import FileFault

    try:
        with as_mistakes(unusable=FileFault):
            policies = load_policies(path)
            try:
                Facilities.load(facilities)
            except FileFault as fault:
                raise FileFault(f"{fault}{site.advice(facilities)}") from None
    except FileFault as fault:
        if as_json:
            say_json({"usable": False, "fault": str(fault)})
        raise No(str(fault)) from None
    versions = [policy.version for policy in policies]
    if as_json:
        say_json({"usable": True, "versions": versions})
    else:
        say(f"{path}: usable; {counted(len(policies), 'version')}: {', '.join(versions)}")
    warn_of_past(policies)


def warn_of_past(policies: "Sequence[Policy]") -> None:
    """Say what a version does to discharges that are over: nobody may notice it otherwise."""
    from orchestrator.stream.clock import RealClock

    newest = policies[-1]
    now = EVER + timedelta(microseconds=RealClock().now())
    if EVER < newest.effective_from < now:
        hint(
            f"{newest.version} holds for {whose(newest)}, also for those that are over. Unless"
            " it was in force already, what is open of them is decided anew by it, each as soon"
            " as anything is heard of it. For discharges to come, let effective_from lie ahead."
        )


def whose(policy: "Policy") -> str:
    """Which discharges it is for."""
    since = policy.effective_from
    return "every discharge" if since == EVER else f"discharges from {since:%Y-%m-%d} on"


def _print(policy: "Policy", later: "Policy | None") -> None:
    until = f" before {later.effective_from:%Y-%m-%d}" if later is not None else ""
    say(f"Policy {policy.version}, for {whose(policy)}{until}")
    say(f"\n  {'Protocol':<10}{'Task':<20}{'Due':<26}{'Team':<18}Rule")
    for name, tasks in policy.protocols.items():
        for task in tasks:
            due = _due(task.due) + ("" if task.priority == "routine" else f", {task.priority}")
            title = words.task(task.kind)
            say(f"  {name:<10}{title:<20}{due:<26}{task.team:<18}{task.rule}")
    for task in policy.caused_tasks:
        title = words.task(task.kind)
        say(f"  {'':<10}{title:<20}{_due(task.due):<26}{task.team:<18}{task.rule}")
    say(f"\n  {'Gap':<28}{'Severity':<18}Team")
    for code, gap in policy.gaps.items():
        severity = f"{gap.severity} or {gap.otherwise}" if gap.otherwise else gap.severity
        say(f"  {words.gap(code):<28}{severity:<18}{gap.team}")
    say("\n  Everything else, thresholds and disposition table: policy show --json\n")


def _due(due: "DuePart") -> str:
    if due.clock == "elapsed":
        hours = due.length / timedelta(hours=1)
        return f"after {hours:g} h"
    if due.clock == "calendar":
        return f"end of local day {due.length.days}"
    return f"end of business day {due.length.days}"
