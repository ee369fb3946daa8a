"""``simulate``: writes a seeded hospital's feeds into a folder, and the facilities file."""

from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import IO

from orchestrator.cli.console import counted, hint, progress, say, say_json
from orchestrator.cli.faults import Mistake, as_mistakes

FEED = "feed"
FACILITIES = "facilities.yaml"
PROGRESS_EACH = 2000


def run(
    out: Path,
    *,
    form: str,
    dirt: bool,
    patients: int,
    seed: int,
    start: str,
    days: int,
    as_json: bool,
) -> None:
    """Write ``feed/`` and ``facilities.yaml`` into *out*; files of an earlier run are replaced."""
    from orchestrator.simulate.feed import Format, lines
    from orchestrator.simulate.generate import Plan, generate
    from orchestrator.simulate.places import facilities_yaml

    if form not in ("canonical", "hl7v2"):
        later = " (FHIR comes later)" if form == "fhir" else ""
        raise Mistake(f"--format must be canonical or hl7v2{later}")
    chosen: Format = "hl7v2" if form == "hl7v2" else "canonical"
    plan = Plan(patients, seed, _date(start), days, dirt)
    happenings = generate(plan)
    feed = out / FEED
    with as_mistakes(), ExitStack() as open_files:
        feed.mkdir(parents=True, exist_ok=True)
        for old in feed.iterdir():
            if old.suffix in (".ndjson", ".hl7"):
                old.unlink()
        (out / FACILITIES).write_text(facilities_yaml(), encoding="utf-8")
        files: dict[str, IO[bytes]] = {}
        step = open_files.enter_context(progress())("writing")
        for number, (name, raw) in enumerate(lines(happenings, chosen), 1):
            if name not in files:
                files[name] = open_files.enter_context((feed / name).open("wb"))
            files[name].write(raw)
            if number % PROGRESS_EACH == 0:
                step(number, len(happenings))
    if as_json:
        say_json(
            {
                "messages": len(happenings),
                "patients": patients,
                "feed": str(feed),
                "facilities": str(out / FACILITIES),
            }
        )
        return
    say(f"{counted(len(happenings), 'message')} about {counted(patients, 'patient')} in {feed}")
    replay = f"replay --facilities {out / FACILITIES} {feed}"
    hint(f"See what follows from them: care-orchestrator {replay}")


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Mistake("--start must be a date as in 2026-10-05") from None
