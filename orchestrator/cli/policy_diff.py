"""``policy diff``: what one policy says otherwise than another, in words: ``was``, ``now``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli import site
from orchestrator.cli.console import counted, say, say_json
from orchestrator.cli.faults import Mistake, as_mistakes
from orchestrator.cli.policy import warn_of_past, whose

if TYPE_CHECKING:
    from schemas.policy import Policy


def run(paths: list[Path], policy: Path | None, *, as_json: bool) -> None:
    """Compare the newest version of each file; of the settings', the one in force now."""
    from orchestrator.worklist.pages.policy_words import compared

    if len(paths) > 2:
        raise Mistake("policy diff compares one file with the rules in force, or two files")
    was = _in_force(policy) if len(paths) == 1 else _newest(paths[0])
    now = _newest(paths[-1])
    found = compared(was.model_dump(mode="json"), now.model_dump(mode="json"))
    changed = [one for one in found if one.changed]
    same = len(found) - len(changed)
    warn_of_past([now])
    if as_json:
        rows = [
            {"field": one.path, "name": one.name, "was": one.was, "now": one.now} for one in changed
        ]
        say_json({"was": _head(was), "now": _head(now), "differences": rows, "same": same})
        return
    for word, one in (("was", was), ("now", now)):
        say(f"{word}  {one.version}, for {whose(one)}")
    for row in changed:
        say(f"\n  {row.name}\n    was  {row.was}\n    now  {row.now}")
    say(f"\n{counted(len(changed), 'difference')}, {same:,} others are the same.")


def _newest(path: Path) -> "Policy":
    from schemas.policy import load_policies

    with as_mistakes():
        return load_policies(path)[-1]


def _in_force(path: Path | None) -> "Policy":
    from orchestrator.stream.clock import RealClock

    policies = site.policies_of(site.load(policy=path))
    now = RealClock().now()
    begun = [one for one in policies if one.effective_from.timestamp() * 1_000_000 <= now]
    return begun[-1] if begun else policies[0]


def _head(policy: "Policy") -> dict[str, Any]:
    said: dict[str, Any] = policy.model_dump(mode="json", include={"version", "effective_from"})
    return said
