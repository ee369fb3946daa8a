"""The demo's worklist: the product's own, on the stage's clock, with made-up roles and controls."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestrator.cli import site, worklist
from orchestrator.cli.demo_stage import PARTITIONS, Stage, facilities_text
from orchestrator.core.instants import HOUR, MINUTE

if TYPE_CHECKING:
    from orchestrator.cli.worklist import Entry, Working
    from orchestrator.ops.lag import Sample
    from orchestrator.ops.sampler import Sampler
    from orchestrator.settings import Settings
    from orchestrator.stream.clock import Clock
    from orchestrator.worklist.demo import Demo
    from orchestrator.worklist.serving import Plan

# A clock's sign of life comes each three seconds: who has none for so long is behind.
BEHIND_AFTER_S: Final = 10.0
# On the hospital's clock: at x60 they are ten seconds and a minute of ours.
BEHIND: Final = 10 * MINUTE
STALLED: Final = HOUR
LOOK_S: Final = 2.0


def entry(folder: Path, port: int | None) -> "Entry":
    """The door, on loopback; *port* as before where the demo begins again."""
    here = _settings(folder)
    if port is not None:
        here = here.model_copy(update={"worklist_port": port})
    return worklist.entry_of(here)


@contextmanager
def served(folder: Path, entry: "Entry", stage: Stage, controls: "Demo") -> "Iterator[Working]":
    """The pages, in a thread of their own, while the stage plays; what ended them ends the demo."""
    here = _settings(folder)
    clock = stage.clock

    def plan() -> "Plan":
        from orchestrator.worklist.log.embedded import EmbeddedFeed, EmbeddedSender
        from schemas.facilities import Facilities

        return replace(
            worklist.plan_of(here),
            feed=lambda: EmbeddedFeed(folder, clock),
            sender=lambda: EmbeddedSender(folder, clock),
            log_now=clock.now,
            behind_after=BEHIND_AFTER_S,
            facilities=Facilities.parse(facilities_text()),
            sampler=lambda told: _sampler(folder, here.group, clock, told),
            demo=controls,
        )

    with worklist.beside(here, entry, lambda _text: None, plan) as working:
        yield working
        working.raise_fault()


def _sampler(
    folder: Path, group: str, clock: "Clock", told: "Callable[[Sample], None]"
) -> "Sampler":
    from orchestrator.ops.lag import Judge
    from orchestrator.ops.look_embedded import EmbeddedLook
    from orchestrator.ops.sampler import Sampler
    from orchestrator.stream.sqlite_log import Log

    @contextmanager
    def opened() -> "Iterator[EmbeddedLook]":
        with Log.open(folder, clock=clock) as log:
            yield EmbeddedLook(log, group)

    return Sampler(opened, Judge(BEHIND, STALLED), every_s=LOOK_S, told=told)


def _settings(folder: Path) -> "Settings":
    said = {"auth_mode": "demo", "partitions": PARTITIONS}
    return site.load(folder).model_copy(update=said)
