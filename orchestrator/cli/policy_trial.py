"""``policy what-if``: a policy tried out on past days, in this process; keys instead of names."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli import site, worklist
from orchestrator.cli.console import progress, say, say_json
from orchestrator.cli.faults import Mistake, as_mistakes
from orchestrator.settings import site_key

if TYPE_CHECKING:
    from orchestrator.settings import Settings
    from orchestrator.worklist.pages.policy_trial_words import Answer, Side


def run(path: Path, first: str, last: str, here: "Settings", *, as_json: bool) -> None:
    """Decide, compare, print."""
    from orchestrator.stream.keys import patient_key
    from orchestrator.worklist.access.roles import principal
    from orchestrator.worklist.instants import micros
    from orchestrator.worklist.pages.policy_trial_words import answer
    from orchestrator.worklist.what_if import told

    found = _found(path, first, last, here)
    # As an operator sees it: what is printed holds nobody's name.
    who = principal("terminal", frozenset({"operator"}), frozenset({"*"}), frozenset({"*"}))
    key = site_key(here)
    plain = told(found, who, lambda subject: patient_key(key, subject))
    if as_json:
        say_json(plain)
        return
    zone = site.facilities_of(here).get("default").zone
    _print(answer(plain, zone, micros(plain["as_of"])))


def _found(path: Path, first: str, last: str, here: "Settings") -> dict[str, Any]:
    from orchestrator.stream.what_if import Question, what_if
    from orchestrator.worklist.what_if import BadDay, days_of
    from schemas.policy import load_policies

    with as_mistakes():
        proposed = load_policies(path)
    facilities = site.facilities_of(here)
    try:
        days = days_of(first, last, facilities.get("default").zone)
    except BadDay as fault:
        raise Mistake(f"--{fault.field} {fault}") from None
    site.installed(here)
    log = worklist.log_of(here, site_key(here))
    question = Question(
        site.policies_of(here), proposed, facilities, days.since, days.until, log.now()
    )
    if here.data_dir.is_dir():  # where patients' data may lie while it is sorted
        os.environ["SQLITE_TMPDIR"] = str(here.data_dir)
    with progress() as bar:
        return what_if(question, log.journal, bar("deciding"))


def _print(answer: "Answer") -> None:
    say(f"{answer.version} on {answer.scope}")
    say(f"{answer.sentence} {answer.gaps}")
    for text in answer.notes:
        say(text)
    for group in answer.groups:
        told = "" if len(group.lines) == group.total else f", the first {len(group.lines)}"
        say(f"\n{group.title}{told}")
        for line in group.lines:
            say(f"  {line.kind:<28}{line.facility:<10}patient {line.patient_key}")
            say(f"    was  {_side(line.was)}")
            say(f"    now  {_side(line.now)}")
    say("\nNothing was published.")


def _side(side: "Side") -> str:
    return ", ".join([side.due, *side.more, side.rule]) if side.due else "no such task"
