"""Failpoints do nothing unless asked, and what is asked is either understood or refused."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.stream import failpoints
from orchestrator.stream.failpoints import FailpointError, Plan, parse

STREAM = Path(failpoints.__file__).parent


def test_without_the_variable_a_place_does_nothing() -> None:
    """The places cost a call of an empty function."""
    if failpoints.VARIABLE not in os.environ:
        assert failpoints.hit is failpoints._nothing


def test_a_plan_says_what_where_and_when() -> None:
    """Name, action, seconds, which pass."""
    assert parse("decide.state=kill@3, intake.read=sleep:0.5, decide.commit=kill:0.001@2,") == {
        "decide.state": Plan("kill", 0.0, 3),
        "intake.read": Plan("sleep", 0.5, None),
        "decide.commit": Plan("kill", 0.001, 2),
    }


@pytest.mark.parametrize(
    "text", ["nowhere=kill", "decide.state", "decide.state=explode", "decide.state=kill@soon"]
)
def test_a_plan_that_cannot_be_read_is_refused(text: str) -> None:
    """A test that killed nothing would look like a pass."""
    with pytest.raises(FailpointError):
        parse(text)


def test_every_place_in_the_code_is_listed_and_every_listed_one_exists() -> None:
    """The mapping to the kill points is complete."""
    found = set()
    for path in STREAM.glob("*.py"):
        found |= set(re.findall(r'\bhit\("([a-z.]+)"\)', path.read_text(encoding="utf-8")))
    assert found == set(failpoints.POINTS)


@pytest.mark.parametrize("plan", ["start.opened=kill@2", "start.opened=kill:0.01@2"])
def test_a_place_kills_at_its_pass(plan: str) -> None:
    """The first pass goes through, the second is the last thing that happens."""
    code = (
        "import time\n"
        "from orchestrator.stream.failpoints import hit\n"
        "hit('start.opened'); print('once', flush=True); hit('start.opened'); time.sleep(30)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, failpoints.VARIABLE: plan},
        cwd=STREAM.parents[1],
        capture_output=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == b"once\n"
