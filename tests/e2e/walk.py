"""What each step of `docs/operate.md` costs: while discharges flow, a step is done.

Printed are how many were sent, how many led to no call, how many calls were read twice, and the
longest that an event waited for its call.  Starts and ends a broker and the product of its own.
"""

import argparse
import logging
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.deploy.compose import ROOT
from tests.e2e.docker import Docker
from tests.e2e.flow import flowing
from tests.e2e.stack import Stack, stack

RATE: Final = 10.0
WARM: Final = 100  # discharges; the first ones meet a product that has just started
BEFORE_S: Final = 6.0
AFTER_S: Final = 6.0
AWAY_S: Final = 10.0


def main() -> None:
    """Do all of it and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.walk", description=__doc__)
    parser.add_argument("steps", nargs="*", type=int, help="their numbers; default: all, 6 minutes")
    parser.add_argument(
        "--upgrade-from", metavar="COMMIT", help="start with its sources; adds the step to these"
    )
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as named:
        folder = Path(named)
        before = {} if chosen.upgrade_from is None else _sources(chosen.upgrade_from, folder)
        secrets = folder / "secrets"
        command = [str(ROOT / "deploy/make-secrets.sh"), str(secrets)]
        subprocess.run(command, check=True, capture_output=True)
        (folder / "product").mkdir()
        # Clients that lose their broker say so at length.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        with stack(folder / "product", secrets, before) as product:
            with flowing(product.kafka(), "WARM", RATE) as flow:
                flow.wait_for(WARM)
            walk(product, chosen.steps, upgraded=bool(before))


def walk(product: Stack, asked: list[int], *, upgraded: bool) -> None:
    """One row a step, in the order of the document."""
    docker = Docker(product)

    def compose(*words: str) -> None:
        answer = docker(["compose", *words])
        assert answer.code == 0, answer

    def killed(name: str) -> None:
        product.running[name].kill()  # unasked, so it is started again
        time.sleep(1)
        product.wait(name)

    def broker_away() -> None:
        product.end("kafka", signal.SIGKILL)
        time.sleep(AWAY_S)
        compose("up", "--detach", "--wait", "kafka")

    def recreated() -> None:
        compose("stop", "intake", "decide", "lag")
        compose("up", "--detach", "--wait")

    def rolled(name: str, *numbers: int) -> None:
        for number in numbers:
            assert docker(["restart", f"care-orchestrator-{name}-{number}"]).code == 0

    def upgrade() -> None:
        product.settings = {}
        compose(*two)  # the second ones are of the new version, the first ones not yet
        rolled("decide", 1)
        rolled("intake", 1)
        rolled("lag", 1)

    two = ("up", "--detach", "--wait", "--scale", "decide=2", "--scale", "intake=2")
    one = ("up", "--detach", "--wait")
    steps: list[tuple[str, Callable[[], None]]] = [
        ("nothing", lambda: None),
        ("restart decide, the only one", lambda: compose("restart", "decide")),
        ("restart intake, the only one", lambda: compose("restart", "intake")),
        ("kill -9 decide, the only one; started again", lambda: killed("decide")),
        ("kill -9 intake, the only one; started again", lambda: killed("intake")),
        ("stop all workers, start all (an upgrade)", recreated),
        ("add a second decide and a second intake", lambda: compose(*two)),
        ("restart both decide, one after the other", lambda: rolled("decide", 1, 2)),
        ("restart both intake, one after the other", lambda: rolled("intake", 1, 2)),
        ("restart both decide at once", lambda: compose("restart", "decide")),
        ("kill -9 one decide of two", lambda: _kill(product, "decide-2")),
        ("take the second ones away", lambda: compose(*one)),
        ("restart the broker", lambda: compose("restart", "kafka")),
        (f"kill -9 the broker, back after {AWAY_S:.0f} s", broker_away),
    ]
    if upgraded:
        steps.insert(0, ("replace a decide and an intake by this version", upgrade))
        steps.insert(1, ("take the second ones away", lambda: compose(*one)))
    say("step", "sent", "lost", "twice", "step s", "longest s", "usual s")
    for number, (name, step) in [(n, steps[n]) for n in asked or range(len(steps))]:
        with flowing(product.kafka(), f"W{number:02}", RATE) as flow:
            time.sleep(BEFORE_S)
            began = time.monotonic()
            step()
            took = time.monotonic() - began
            time.sleep(AFTER_S)
        assert flow.tasks_per_visit == {1}
        waits = f"{took:.1f}", f"{flow.longest():.1f}", f"{flow.usual():.2f}"
        say(name, len(flow.sent), flow.lost, flow.doubled, *waits)


def say(name: str, *cells: object) -> None:
    """One row."""
    sys.stdout.write(f"{name:<46}" + "".join(f"{cell:>10}" for cell in cells) + "\n")
    sys.stdout.flush()


def _sources(commit: str, folder: Path) -> dict[str, str]:
    """The sources of another version; what makes processes run them instead of these."""
    archive, tree = folder / "before.tar", folder / "before"
    words = ["orchestrator", "schemas", "events", "handlers"]
    command = ["git", "-C", str(ROOT), "archive", "-o", str(archive), commit, *words]
    subprocess.run(command, check=True, capture_output=True)
    with tarfile.open(archive) as found:
        found.extractall(tree, filter="data")
    return {"PYTHONPATH": str(tree)}


def _kill(product: Stack, process: str) -> None:
    product.end(process, signal.SIGKILL)


if __name__ == "__main__":
    main()
