"""``demo``: the embedded product on a simulated hospital, on a speeded clock; ends by itself."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Final
from zoneinfo import ZoneInfo

from orchestrator import log as logs
from orchestrator.cli import demo_stage, words
from orchestrator.cli.console import hint, say
from orchestrator.cli.demo_screen import Screen
from orchestrator.cli.faults import Mistake, as_mistakes
from orchestrator.simulate.places import GEN, HOSPITALS, PLACES

FOLDER: Final = Path("care-demo")
FRAME_S: Final = 0.1
# Says that the folder is a demo's, so that nothing else is ever deleted.
MARKER: Final = ".care-demo"
LOG_FILE: Final = "demo.log"


def run(folder: Path, *, seed: int, speed: int, seconds: int | None) -> None:
    """Play the demo for *seconds* of real time; ``None``: until Ctrl-C."""
    with as_mistakes():
        reset(folder, quietly=True)
        folder.mkdir(mode=0o700, parents=True)
        (folder / MARKER).touch()
    screen = Screen(GEN.zone, {place.id: place.zone for place in PLACES})
    with (folder / LOG_FILE).open("w", encoding="utf-8") as written, _interruptible() as going:
        # What goes wrong in the simulated feed is on the screen as gaps; its log lines are kept.
        logs.configure("info", "json", written)
        with demo_stage.opened(folder, seed) as stage:
            _introduce(folder, speed)
            stage.prologue(going)
            began = stage.now
            screen.show(began, stage.changes(), aloud=False)
            first = time.monotonic()
            while going() and not stage.is_over:
                spent = time.monotonic() - first
                if seconds is not None and spent >= seconds:
                    break
                stage.play(began + int(spent * speed * 1_000_000))
                screen.show(stage.now, stage.changes())
                time.sleep(FRAME_S)
            screen.close(stage.now)
    hint(f"Look closer: care-orchestrator topics read care.task.v1 --data-dir {folder}")


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


def _introduce(folder: Path, speed: int) -> None:
    begins = datetime.combine(demo_stage.START, datetime.min.time(), ZoneInfo(GEN.zone))
    begins = begins.astimezone(UTC) + timedelta(microseconds=demo_stage.PROLOGUE)
    say("Simulated hospitals GEN and MID, made-up patients. Nothing is real.")
    second = words.length(timedelta(seconds=speed))
    say(f"  clock       a second is {second}, from {words.dated(begins, GEN.zone)} on")
    others = [f"{h.id}: {words.zone(begins, h.zone)}" for h in HOSPITALS if h is not GEN]
    front = f"those in front {words.zone(begins, GEN.zone)}, as at {GEN.id}"
    say(f"  times       {front}; in sentences each hospital's own ({', '.join(others)})")
    where = "" if folder == FOLDER else f" --folder {folder}"
    say(f"  data        {folder}    deleted by: care-orchestrator demo --reset{where}")
    say("")
