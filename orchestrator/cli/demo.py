"""``demo``: the embedded product on simulated hospitals, on a speeded clock, with its pages."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from orchestrator import log as logs
from orchestrator.cli import demo_pages, demo_stage, words
from orchestrator.cli.console import hint, say
from orchestrator.cli.demo_screen import Screen
from orchestrator.cli.demo_stage import Stage
from orchestrator.cli.faults import Mistake, as_mistakes
from orchestrator.ops import spans
from orchestrator.simulate.places import GEN, HOSPITALS, PLACES
from orchestrator.worklist.demo import NAP_S, Demo

if TYPE_CHECKING:
    from orchestrator.cli.worklist import Entry, Working

FOLDER: Final = Path("care-demo")
FRAME_S: Final = 0.1
# Says that the folder is a demo's, so that nothing else is ever deleted.
MARKER: Final = ".care-demo"
LOG_FILE: Final = "demo.log"
# Who looks on for a minute sees days; who stays, and clicks, needs time to read.
PACE_WATCHED: Final = 3600
PACE_SERVED: Final = 60
WATCHED_S: Final = 75


@dataclass(slots=True)
class Play:
    """
    What is played.

    Attributes:
        seconds: Of real time; ``None``: until Ctrl-C.
    """

    folder: Path
    seed: int
    speed: int
    seconds: int | None
    port: int | None = None
    going: Callable[[], bool] = field(default=lambda: True)

    @property
    def prologue(self) -> int:
        """How long the hospital has lived before anybody looks."""
        stays = self.seconds is None
        return demo_stage.PROLOGUE_SERVED if stays else demo_stage.PROLOGUE


def run(folder: Path, *, seed: int, speed: int | None, seconds: int | None, stay: bool) -> None:
    """
    Play the demo.

    Args:
        stay: Until Ctrl-C, whatever *seconds* says; without both, a terminal stays and a pipe does
            not: whoever reads one waits for its end.
    """
    if stay or (seconds is None and sys.stdout.isatty()):
        lasts, pace = None, speed or PACE_SERVED
    else:
        lasts, pace = seconds or WATCHED_S, speed or PACE_WATCHED
    play = Play(folder, seed, pace, lasts)
    with _interruptible() as going:
        play.going = going
        again = True
        while again and going():
            again = _once(play)
    hint(f"Look closer: care-orchestrator topics read care.task.v1 --data-dir {folder}")


def _once(play: Play) -> bool:
    """From the first day on; whether the visitor wants to begin again."""
    with as_mistakes():
        reset(play.folder, quietly=True)
        play.folder.mkdir(mode=0o700, parents=True)
        (play.folder / MARKER).touch()
    screen = Screen(GEN.zone, {place.id: place.zone for place in PLACES})
    entry = demo_pages.entry(play.folder, play.port)
    entry.socket.listen()  # who follows the address at once waits for the first page, not in vain
    play.port = entry.socket.getsockname()[1]
    with (play.folder / LOG_FILE).open("w", encoding="utf-8") as written:
        # What goes wrong in the simulated feed is on the screen as gaps; its log lines are kept.
        logs.configure("info", "json", written)
        with demo_stage.opened(play.folder, play.seed) as stage:
            _introduce(play, entry)
            stage.prologue(play.going, play.prologue)
            screen.show(stage.now, stage.changes(), aloud=False)
            controls = Demo(pace=play.speed)
            if play.going():
                with demo_pages.served(play.folder, entry, stage, controls) as pages:
                    _follow(play, stage, controls, screen, pages)
            screen.close(stage.now)
    entry.socket.close()
    return controls.over


def _follow(play: Play, stage: Stage, controls: Demo, screen: Screen, pages: "Working") -> None:
    """Move the clock as the visitor has it, frame by frame."""
    first = last = time.monotonic()
    turned = 0.0
    until = stage.now
    while play.going() and not controls.over and pages.lives:
        now = time.monotonic()
        if play.seconds is not None and (now - first >= play.seconds or stage.is_over):
            break
        stage.runs_at(controls.speed)
        stage.silent = controls.silent
        stage.works = not controls.slow or now - turned >= NAP_S
        if stage.works:
            turned = now
        until += int((now - last) * controls.speed * 1_000_000)
        last = now
        stage.play(until)
        screen.show(stage.now, stage.changes())
        time.sleep(FRAME_S)


def reset(folder: Path, *, quietly: bool = False) -> None:
    """
    Delete *folder*, if a demo made it.

    Raises:
        Mistake: Something else is there, which is left alone.
    """
    import shutil

    if folder.exists() and not (folder / MARKER).exists():
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            return
        raise Mistake(f"{folder} is not a demo's folder; name another with --folder")
    existed = folder.exists()
    if existed:
        shutil.rmtree(folder)
    if not quietly:
        say(f"{folder} deleted" if existed else f"{folder} is not there")


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C end the play between two steps, not in the middle of a transaction."""
    stopped = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: not stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _introduce(play: Play, entry: "Entry") -> None:
    begins = datetime.combine(demo_stage.START, datetime.min.time(), ZoneInfo(GEN.zone))
    begins = begins.astimezone(UTC) + timedelta(microseconds=play.prologue)
    host, port = entry.socket.getsockname()[:2]
    say(f"Simulated hospitals GEN and MID, clock x{play.speed}, made-up patients. Nothing is real.")
    say(f"  worklist    http://{host}:{port}      sign in as any role; opens in some seconds")
    second = spans.length(timedelta(seconds=play.speed))
    second = second if play.speed >= 60 else f"{play.speed} s"
    say(f"  clock       a second is {second}, from {words.dated(begins, GEN.zone)} on")
    others = [f"{h.id}: {words.zone(begins, h.zone)}" for h in HOSPITALS if h is not GEN]
    front = f"those in front {words.zone(begins, GEN.zone)}, as at {GEN.id}"
    say(f"  times       {front}; in sentences each hospital's own ({', '.join(others)})")
    where = "" if play.folder == FOLDER else f" --folder {play.folder}"
    say(f"  data        {play.folder}    deleted by: care-orchestrator demo --reset{where}")
    say("")
    sys.stdout.flush()
