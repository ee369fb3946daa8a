"""The short chaos run: eight faults strike a working product, and the checker finds nothing.

The long one is ``make chaos``; its report is `docs/chaos/`.  ``CHAOS_SEED`` chooses another run.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from tests.kafka.broker import jars
from tests.kafka.chaos.findings import CLASSES
from tests.kafka.chaos.fleet import ROOT

SEED: Final = os.environ.get("CHAOS_SEED", "3")
LIMIT_S: Final = 1500  # a guard; it takes about five minutes where the machine is free
FAULTS: Final = 8
# Core and model are known to part about few patients, whatever the runtime does.
PARTED: Final = 0.01


@pytest.mark.slow
def test_eight_faults_leave_nothing_lost_doubled_or_false(tmp_path: Path) -> None:
    """Every class of harm 0, every fault while work was under way, every input accounted for."""
    jars()  # without a broker: skipped, or on a build server failed

    found = _run(tmp_path)

    assert found["classes"] == dict.fromkeys(CLASSES, 0), found["findings"]
    # One that did not strike is brought about again, so a kind may stand there twice.
    struck = {fault["kind"] for fault in found["faults"] if fault["overlapped"]}
    assert len(struck) + len(found["left_out"]) == FAULTS, found["faults"]
    assert found["last_stop"] == [0, 0, 0, 0], "the workers did not leave in order"
    figures = found["figures"]
    assert figures["landed"] == sum(figures["results"].values())
    assert figures["redone_by_intake"] or figures["attempts"]["landed twice"], "nothing came twice"
    for result in ("applied", "duplicate", "dead-letter", "ignored"):
        assert figures["results"][result] > 0, result
    parted = figures["core_and_model_part_without_a_fault"]
    assert len(parted) <= PARTED * figures["patients"], parted


def _run(folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.kafka.chaos.run", "--seed", SEED, "--out", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            _, told = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            # It takes down what it started and mounted.
            process.send_signal(signal.SIGINT)
            _, told = process.communicate()
            raise AssertionError(f"not through after {LIMIT_S} s:\n{told}") from None
    report = folder / f"short-{SEED}.json"
    assert report.exists(), told
    found: dict[str, Any] = orjson.loads(report.read_bytes())
    return found
