"""``auth user``: who may sign in, from the command line to the door."""

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from orchestrator.worklist.access import users
from orchestrator.worklist.access.store import AccessStore

MAIN = "import orchestrator.cli; orchestrator.cli.main()"
PASSWORD = "correct horse battery"


def auth(folder: Path, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """One command, its password on a pipe."""
    return subprocess.run(
        [sys.executable, "-c", MAIN, "auth", "user", *words, "--data-dir", str(folder)],
        input=typed,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def may(folder: Path, name: str, password: str) -> bool:
    store = AccessStore(folder)
    try:
        return users.signed_in(store, name, password)
    finally:
        store.close()


def test_somebody_is_added_listed_disabled_and_let_in_again(tmp_path: Path) -> None:
    """The password comes from the pipe or the terminal, never from the list of processes."""
    said = ("ann", "--role", "rn", "--facility", "GEN", "--team", "nurse-outreach")
    added = auth(tmp_path, "add", *said, typed=f"{PASSWORD}\n")
    twice = auth(tmp_path, "add", *said, typed=f"{PASSWORD}\n")
    entered = may(tmp_path, "ann", PASSWORD)
    out = auth(tmp_path, "disable", "ann")
    kept_out = may(tmp_path, "ann", PASSWORD)
    listed = auth(tmp_path, "list", "--json")
    changed = auth(tmp_path, "password", "ann", typed="another horse battery\n")

    assert (added.returncode, twice.returncode, out.returncode) == (0, 2, 0)
    assert "is there already" in twice.stderr
    assert (entered, kept_out) == (True, False)
    assert orjson.loads(listed.stdout) == [
        {
            "name": "ann",
            "roles": ["rn"],
            "teams": ["nurse-outreach"],
            "facilities": ["GEN"],
            "part2": False,
            "disabled": True,
        }
    ]
    assert changed.returncode == 0
    assert may(tmp_path, "ann", "another horse battery")
    assert not may(tmp_path, "ann", PASSWORD)
    assert PASSWORD not in added.stdout + added.stderr


@pytest.mark.parametrize(
    ("words", "typed", "says"),
    [
        (("add", "ann", "--role", "nurse", "--facility", "GEN"), PASSWORD, "--role nurse"),
        (("add", "ann", "--role", "rn", "--facility", "GEN"), "short", "12 to 256 characters"),
        (("add", "ann", "--role", "rn", "--facility", "GEN"), "", "12 to 256 characters"),
        (("add", " ann", "--role", "rn", "--facility", "GEN"), PASSWORD, "visible characters"),
        (("password", "nobody"), PASSWORD, "nobody is not known"),
        (
            ("add", "ann", "--role", "rn", "--facility", "GEN", "--team", "nurses"),
            PASSWORD,
            "--team nurses: no policy gives it a task; there are case-management, nurse-outreach,",
        ),
    ],
)
def test_what_cannot_be_is_said(
    tmp_path: Path, words: tuple[str, ...], typed: str, says: str
) -> None:
    """Exit 2 with what is wrong; nobody is added."""
    ran = auth(tmp_path, *words, typed=f"{typed}\n")

    assert ran.returncode == 2
    assert says in ran.stderr


def test_a_facility_that_is_not_listed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is given it would see nothing and not know why; `*` is all, without a file any."""
    some = ("--role", "rn", "--team", "nurse-outreach", "--facility")
    freely = auth(tmp_path, "add", "joe", *some, "GNE", typed=f"{PASSWORD}\n")
    listed = tmp_path / "facilities.yaml"
    listed.write_text("GEN: {zone: America/New_York}\n")
    monkeypatch.setenv("CARE_FACILITIES", str(listed))
    refused = auth(tmp_path, "add", "ann", *some, "GNE", typed=f"{PASSWORD}\n")
    every = auth(tmp_path, "add", "ann", *some, "*", typed=f"{PASSWORD}\n")
    given = auth(tmp_path, "add", "bea", *some, "GEN", typed=f"{PASSWORD}\n")

    assert [one.returncode for one in (freely, refused, every, given)] == [0, 2, 0, 0]
    assert f"--facility GNE: {listed} does not list it; there are GEN, or * for all" in " ".join(
        refused.stderr.split()
    )
