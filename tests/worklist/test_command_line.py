"""The commands: a token is signed, serves, is taken back; settings that cannot be are refused."""

import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from orchestrator.stream.sqlite_log import Log
from orchestrator.worklist.access.store import AccessStore
from tests.cli.conftest import Run, bare_environment, run

__all__ = ["run"]

MAIN = "from orchestrator.cli import main; main()"
WAIT_S = 60.0


def free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


@contextmanager
def up(folder: Path, port: int, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """`care-orchestrator up` until the worklist answers."""
    environment = bare_environment(
        {"CARE_WORKLIST_PORT": str(port), "CARE_OPS_PORT": "0", "CARE_PARTITIONS": "2", **settings}
    )
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "up", "--data-dir", str(folder)],
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            assert process.poll() is None, "it has ended"
            try:
                httpx.get(f"http://127.0.0.1:{port}/api/v1/me")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(WAIT_S)


def test_a_token_opens_up_s_worklist_until_it_is_taken_back(run: Run, tmp_path: Path) -> None:
    """`auth token`, `up`, `auth revoke`: who it is, and from the next request on nobody."""
    folder, port = tmp_path / "data", free_port()
    with up(folder, port) as process:
        made = run(
            "auth", "token", "ann", "--role", "rn", "--facility", "GEN", "--team", "nurse-outreach",
            "--data-dir", folder, "--json",
        )  # fmt: skip
        headers = {"Authorization": f"Bearer {made.json['token']}"}
        url = f"http://127.0.0.1:{port}/api/v1/me"
        me = httpx.get(url, headers=headers)
        demo = httpx.get(url, headers={"Authorization": "Bearer demo-rn"})
        revoked = run("auth", "revoke", made.json["jti"], "--data-dir", folder)
        unknown = run("auth", "revoke", str(uuid.uuid4()), "--data-dir", folder)
        after = httpx.get(url, headers=headers)

    assert (me.json()["actor"], me.json()["teams"]) == ("ann", ["nurse-outreach"])
    assert (demo.status_code, revoked.code, after.status_code) == (401, 0, 401)
    assert "of ann with this id" in revoked.err
    assert (unknown.code, "was signed here" in unknown.err) == (1, True)
    assert "server" not in me.headers
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"CARE_AUTH_MODE": "demo", "CARE_HOST": "0.0.0.0"}, "loopback"),  # noqa: S104 - refused
        ({"CARE_AUTH_MODE": "demo"}, "not a demo's folder"),
        ({"CARE_AUTH_MODE": "oidc"}, "CARE_AUTH_ISSUER"),
        ({"CARE_AUTH_MODE": "oidc", "CARE_AUTH_ISSUER": "http://id.example"}, "https://"),
        ({"CARE_HOST": "0.0.0.0"}, "TLS"),  # noqa: S104 - refused
        ({"CARE_TLS_CERT": "x.pem"}, "CARE_TLS_KEY"),
        ({"CARE_AUTH_MODE": "open"}, "CARE_AUTH_MODE"),
    ],
)
def test_settings_that_would_open_the_door_too_far_are_refused(
    run: Run, settings: dict[str, str], says: str
) -> None:
    """Exit 2 before anything listens."""
    ran = run("worklist", CARE_OPS_PORT="0", CARE_WORKLIST_PORT="0", **settings)

    assert ran.code == 2
    assert says in ran.err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--role", "nurse"], "--role nurse"),
        (["--role", "rn", "--expires", "tomorrow"], "ISO 8601"),
        (["--role", "rn", "--expires", "P500D"], "400 days"),
        (["--role", "rn", "--view", "all"], "--view all"),
    ],
)
def test_a_token_that_cannot_be_is_refused(run: Run, options: list[str], says: str) -> None:
    """In words: which option, and what is known."""
    ran = run("auth", "token", "ann", "--facility", "GEN", *options)

    assert ran.code == 2
    assert says in ran.err


@pytest.mark.parametrize(
    "words",
    [
        ["auth", "token", "ann", "--role", "rn", "--facility", "*"],
        ["auth", "revoke", "x"],
        ["worklist"],
        ["worklist", "--rebuild"],
    ],
)
def test_a_mistyped_folder_is_not_made(run: Run, tmp_path: Path, words: list[str]) -> None:
    """What was never begun there is refused, and nothing is left behind that looks begun."""
    ran = run(*words, "--data-dir", tmp_path / "dtaa", CARE_OPS_PORT="0", CARE_WORKLIST_PORT="0")

    assert (ran.code, "there is no log here" in ran.err) == (2, True), ran.err
    assert not (tmp_path / "dtaa").exists()


def test_what_nobody_has_is_told_when_it_is_given(run: Run, tmp_path: Path) -> None:
    """A team or facility with a typo would show an empty worklist; an id that is none, nothing."""
    folder = tmp_path / "data"
    with Log.open(folder, create=True, partitions=2):
        pass
    listed = tmp_path / "facilities.yaml"
    listed.write_text("GEN: {zone: America/New_York}\n")
    given = ("--role", "rn", "--facility", "GNE", "--team", "nurses", "--data-dir", folder)
    made = run("auth", "token", "ann", *given, "--json", CARE_FACILITIES=str(listed))
    nonsense = run("auth", "revoke", "nonsense", "--data-dir", folder)

    assert made.code == 0
    assert "--team nurses" in made.err
    assert "--facility GNE" in made.err
    assert (nonsense.code, "the id of no token" in nonsense.err) == (2, True)


def test_an_issuers_token_is_barred_by_its_id_alone(run: Run, tmp_path: Path) -> None:
    """With `oidc` nobody here knows which there are, nor what their ids look like."""
    folder = tmp_path / "data"
    with Log.open(folder, create=True, partitions=2):
        pass
    issuer = {"CARE_AUTH_MODE": "oidc", "CARE_AUTH_ISSUER": "https://id.example"}
    barred = run("auth", "revoke", "j-1", "--data-dir", folder, **issuer)

    assert barred.code == 0, barred.err
    with closing(AccessStore(folder)) as store:
        assert store.is_revoked("j-1")


def test_the_read_model_is_made_anew_by_one_command(run: Run, tmp_path: Path) -> None:
    """`worklist --rebuild` on a log that has nothing yet, and what it says."""
    with Log.open(tmp_path / "data", create=True, partitions=2):
        pass
    ran = run("worklist", "--rebuild", "--data-dir", tmp_path / "data", CARE_PARTITIONS="2")

    assert ran.code == 0, ran.err
    assert "made anew from 0 records" in ran.out
    assert (tmp_path / "data" / "worklist.sqlite").stat().st_mode & 0o777 == 0o600
