"""``replay``: the decisions that files lead to, without a broker and without a log."""

import sys
from pathlib import Path
from typing import Any

from orchestrator import log
from orchestrator.cli import site
from orchestrator.cli.console import console, decorated, hint, progress, say_json, width
from orchestrator.cli.faults import Mistake, as_mistakes


def run(
    paths: list[str],
    *,
    as_of: str | None,
    policy: Path | None,
    facilities: Path | None,
    changes: bool,
    journal: Path | None,
    show: int,
    as_json: bool,
) -> None:
    """Read *paths*, decide, print."""
    here = site.load(facilities=facilities, policy=policy)
    # Standard output is the answer's, and what was parked is part of it; only defects are logged.
    log.configure("error", here.log_format)
    if journal is not None:
        if paths or as_of or changes:
            raise Mistake("--journal runs an export as it stands: without PATH, --as-of, --changes")
        from orchestrator.cli import journal as command

        command.run(journal, here)
        return
    if not paths:
        raise Mistake("name at least one file or folder; - is standard input")
    from events.files import read
    from orchestrator.stream.replay import replay

    listed = site.facilities_of(here)
    site.warn_of_empty(here, listed)
    policies = site.policies_of(here)
    with as_mistakes(), progress() as bar:
        deciding = bar("deciding", "patients")
        answer = replay(
            read(paths, bar("reading", "MB", 1_000_000)),
            as_of=_as_of(as_of),
            facilities=listed,
            policies=policies,
            changes=changes or not as_json,
            on_progress=lambda patients: deciding(patients, 0),
        )
    seen = {row["facility"] for patient in answer["patients"] for row in patient["stays"]}
    site.warn_of_unlisted(here, listed, seen)
    if as_json:
        say_json(answer)
        return
    _print(answer, listed.get("").zone, changes=changes, show=show, as_of_given=as_of is not None)
    if answer["patients"] and not changes:
        hint("For programs: --json     what changed over time: --changes")


def _print(
    answer: dict[str, Any], zone: str, *, changes: bool, show: int, as_of_given: bool
) -> None:
    from orchestrator.cli.chronology import chronology
    from orchestrator.cli.report import lines

    out = console()
    told = lines(answer, zone, 0 if changes else show, width(), as_of_given=as_of_given)
    for text, style in told:
        out.print(text, style=style if decorated(sys.stdout) else None)
    if changes:
        for text, style in chronology(answer["changes"], zone, answer["as_of"]):
            out.print(text, style=style if decorated(sys.stdout) else None)


def _as_of(text: str | None) -> str | None:
    if text is None:
        return None
    from schemas.timestamp import BadTime, parse

    try:
        return parse(text, None).text
    except BadTime:
        raise Mistake("--as-of must be an instant as in 2026-10-08T18:00:00Z") from None
