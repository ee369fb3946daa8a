"""``simulate``: a seeded hospital's feeds, into a folder with the facilities file, or live."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from orchestrator.cli import site
from orchestrator.cli.console import counted, hint, progress, say, say_json
from orchestrator.cli.faults import Mistake, as_mistakes

if TYPE_CHECKING:
    from events.files import Record
    from orchestrator.settings import Settings
    from orchestrator.simulate.feed import Format
    from orchestrator.simulate.generate import Plan
    from schemas.facilities import Facilities

FEED = "feed"
FACILITIES = "facilities.yaml"
PROGRESS_EACH = 2000
FIRST_DAY: Final = date(2026, 10, 5)


def run(
    out: Path,
    *,
    form: str,
    dirt: bool,
    patients: int,
    seed: int,
    start: str | None,
    days: int,
    as_json: bool,
) -> None:
    """Write ``feed/`` and ``facilities.yaml`` into *out*; files of an earlier run are replaced."""
    from orchestrator.simulate.feed import lines
    from orchestrator.simulate.generate import Plan, generate
    from orchestrator.simulate.places import facilities_yaml

    chosen = _format(form)
    happenings = generate(Plan(patients, seed, _date(start) or FIRST_DAY, days, dirt))
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


def publish(
    *,
    form: str,
    dirt: bool,
    patients: int,
    seed: int,
    start: str | None,
    days: int,
    rate: float | None,
    as_json: bool,
) -> None:
    """
    Send the same to the topics, in the order in which it is heard.

    Args:
        start: Default: so that the last of the days is over by now, and nothing lies ahead.
        rate: At most so many messages a second.
    """
    from orchestrator.cli import publish as command
    from orchestrator.simulate.generate import Plan

    here = site.load()
    plan = Plan(patients, seed, _date(start) or _ended_by_now(days), days, dirt)
    records = _records(plan, _format(form))
    with progress() as bar:
        report = command.sent(records, here, _facilities(here), bar("sending"), rate)
    command.tell(report, here, as_json=as_json)


def _records(plan: "Plan", form: "Format") -> "Iterator[Record]":
    from events.files import Record, json_kind
    from orchestrator.simulate.feed import lines
    from orchestrator.simulate.generate import generate

    named: Iterable[tuple[str, bytes]] = lines(generate(plan), form)
    for number, (name, line) in enumerate(named, 1):
        raw = line.strip()
        kind = "hl7v2" if name.endswith(".hl7") else json_kind(raw)
        yield Record(f"{name}:{number}", kind, raw)


def _facilities(here: "Settings") -> "Facilities":
    """Those of the settings; without any, the simulated hospitals' own."""
    from orchestrator.simulate.places import facilities_yaml
    from schemas.facilities import Facilities

    if here.facilities is not None:
        return site.facilities_of(here)
    return Facilities.parse(facilities_yaml())


def _ended_by_now(days: int) -> date:
    from orchestrator.core.instants import SECOND
    from orchestrator.stream.clock import RealClock

    now = datetime.fromtimestamp(RealClock().now() // SECOND, UTC)
    # One more: where the hospitals are, it may still be yesterday.
    return now.date() - timedelta(days=days + 1)


def _format(form: str) -> "Format":
    if form not in ("canonical", "hl7v2"):
        later = " (FHIR comes later)" if form == "fhir" else ""
        raise Mistake(f"--format must be canonical or hl7v2{later}")
    return "hl7v2" if form == "hl7v2" else "canonical"


def _date(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise Mistake("--start must be a date as in 2026-10-05") from None
