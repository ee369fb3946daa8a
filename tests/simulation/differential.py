"""Core against model: one history, one instant, one list of differences.

The core is asked through `replay`, as a user would ask it; the model works the answer out from
the documents.  A difference is minimised and printed as a history that a reader can check by hand.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any

from orchestrator.stream.replay import replay_events
from tests.simulation.compare import core_rows, differences, kinds_of, model_rows
from tests.simulation.histories import as_of_instants, history
from tests.simulation.minimise import Events, minimal, readable
from tests.simulation.model.calendar import text
from tests.simulation.reference import Standing, expected
from tests.simulation.tale import FACILITIES, Options
from tests.simulation.yaml_text import as_yaml

FACILITIES_YAML = as_yaml(FACILITIES)


@dataclass(frozen=True)
class Finding:
    """A seed at which core and model disagree."""

    seed: int
    as_of: datetime
    events: Events
    differences: list[str]

    def report(self) -> str:
        lines = [f"seed {self.seed}, as of {text(self.as_of)}", readable(self.events)]
        return "\n".join(lines + [f"  {d}" for d in self.differences])


def replayed(events: Events, as_of: datetime) -> dict[str, Any]:
    answer: dict[str, Any] = replay_events(
        events, as_of=text(as_of), facilities=FACILITIES_YAML, changes=True
    )
    return answer


def disagreements(events: Events, as_of: datetime) -> list[str]:
    """What core and model say differently about *events* at *as_of*."""
    model = expected(events, FACILITIES, as_of)
    core = {p["patient"]: p for p in replayed(events, as_of)["patients"]}
    out: list[str] = []
    for subject in sorted(model.keys() | core.keys()):
        wanted = model_rows(model.get(subject, Standing()))
        got = core_rows(core[subject]) if subject in core else {}
        out += differences(wanted, got)
    return out


def findings(
    seeds: range, *, instants: int = 3, options: Options | None = None, shrink: bool = True
) -> Iterator[Finding]:
    """The disagreements of each seed, the first instant of each only."""
    for seed in seeds:
        rng = Random(seed)
        told = history(rng, options)
        for as_of in as_of_instants(rng, told, instants):
            found = disagreements(told.events, as_of)
            if not found:
                continue
            events = told.events
            if shrink:
                events = smallest(events, as_of, found)
            yield Finding(seed, as_of, events, disagreements(events, as_of))
            break


def smallest(events: Events, as_of: datetime, found: list[str]) -> Events:
    """The smallest part of *events* that differs in one of the same ways."""
    sort = kinds_of(found)

    def shows(part: Events) -> bool:
        return bool(kinds_of(disagreements(part, as_of)) & sort)

    return minimal(events, shows)
