"""The demo shows a problem being solved, within half a minute, on any machine, and then ends."""

import io
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import httpx
import orjson
import pytest

from orchestrator import log
from orchestrator.cli import demo, demo_screen, demo_stage, site
from orchestrator.core.instants import HOUR, MINUTE
from orchestrator.settings import site_key
from orchestrator.simulate.places import GEN
from orchestrator.stream.keys import patient_key
from orchestrator.worklist.log.embedded import EmbeddedFeed
from orchestrator.worklist.model.projector import Projection
from orchestrator.worklist.pages import landing
from tests.cli.conftest import Run, bare_environment
from tests.cli.test_commands import START

SEED = 3  # the default's
SPEED_HOURS = 1  # simulated hours a second, the default
ADDRESS: Final = re.compile(r"http://127\.0\.0\.1:\d+")
ANSWERS: Final = {
    "understanding": "yes", "medicines": "yes", "symptoms": "none", "appointment": "yes",
    "help_at_home": "yes", "education_given": "yes",
}  # fmt: skip
pytestmark = pytest.mark.usefixtures("no_settings", "restored_logging")


def going() -> bool:
    return True


def played(folder: Path, hours: int, step: int) -> Iterator[dict[str, Any]]:
    """What the demo publishes in its first *hours* after the prologue, in frames of *step*."""
    folder.mkdir()
    log.configure("error", "json", io.StringIO())
    with demo_stage.opened(folder, SEED) as stage:
        stage.prologue(going)
        began = stage.now
        stage.changes()
        for until in range(began + step, began + hours * HOUR + 1, step):
            stage.play(until)
            yield from stage.changes()


def test_half_a_minute_shows_tasks_an_overdue_one_and_a_withdrawn_one(tmp_path: Path) -> None:
    """All three within 30 s at the default speed, each with its reason."""
    seen = list(played(tmp_path / "demo", 30 * SPEED_HOURS, HOUR))

    for name in ("task.requested", "task.overdue", "task.completed", "gap.opened"):
        found = [change for change in seen if change["change"] == name]
        assert found, name
        assert all(change["why"] for change in found)
    withdrawn = [change for change in seen if change.get("task", {}).get("status") == "cancelled"]
    assert withdrawn
    assert all(change["why"].startswith("Withdrawn: ") for change in withdrawn)


def test_a_stuttering_demo_shows_the_same(tmp_path: Path) -> None:
    """What happens depends on the seed, not on how often the machine draws a frame."""
    smooth = list(played(tmp_path / "smooth", 12, 6 * MINUTE))
    stutter = list(played(tmp_path / "stutter", 12, 2 * HOUR))

    def told(changes: list[dict[str, Any]]) -> list[tuple[str, ...]]:
        return sorted(
            (c["subject"], str(c["seq"]), c["change"], c["at"], c["why"]) for c in changes
        )

    assert told(smooth) == told(stutter)


def test_the_terminal_counts_what_the_landing_page_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same four numbers, in a line that is whole on a terminal of 80 columns."""
    folder = tmp_path / "demo"
    folder.mkdir()
    log.configure("error", "json", io.StringIO())
    monkeypatch.setattr(demo_screen, "decorated", lambda _stream: True)
    monkeypatch.setattr(demo_screen, "width", lambda: 80)
    screen = demo_screen.Screen(GEN.zone, {})
    with demo_stage.opened(folder, SEED) as stage:
        stage.prologue(going, demo_stage.PROLOGUE_SERVED)
        screen.show(stage.now, stage.changes(), aloud=False)
    key = site_key(site.load(folder))
    feed = EmbeddedFeed(folder)
    projection = Projection(tmp_path / "rows.sqlite", feed, lambda one: patient_key(key, one))
    while projection.step() is not None:
        pass
    projection.close()
    feed.close()
    with closing(sqlite3.connect(tmp_path / "rows.sqlite")) as db:
        counts = [db.execute(sql).fetchone()[0] for sql in landing.COUNTS.values()]
    line = capsys.readouterr().err.rpartition("\x1b[2K")[2]

    words = ("discharged", "open", "overdue", "gaps")
    numbers = zip(words, counts, strict=True)
    assert line.endswith("".join(f"  {word} {n:,}" for word, n in numbers) + "  ^C stops")
    # The last column stays free; and each number may grow by a digit.
    assert len(line) + len(words) < 80


def test_demo_ends_by_itself_and_leaves_its_log(run: Run, tmp_path: Path) -> None:
    """One command, no network, no question asked; its topics can be read afterwards."""
    ran = run("demo", "--seconds", "6", "--speed", "14400")

    assert ran.code == 0, ran.err
    for mark in ("+ RIV|", "▲ RIV|", "✗ RIV|", "✓ RIV|", "● RIV|"):
        assert mark in ran.out, mark
    assert "Nothing is real" in ran.out
    moments = re.findall(r"^\w{3} (\d+ \w{3} \d\d:\d\d) (\w+) ", ran.out, re.MULTILINE)
    assert len(moments) > 20
    assert {zone for _, zone in moments} == {"EDT"}
    told = [datetime.strptime(f"2026 {at}Z", "%Y %d %b %H:%M%z") for at, _ in moments]
    assert told == sorted(told), "its lines read forward"
    assert "Stopped at" in ran.out
    assert "\x1b" not in ran.out + ran.err
    read = run("topics", "read", "care.task.v1", "--json", "--data-dir", "care-demo")
    assert read.code == 0
    assert len(read.out.splitlines()) > 20
    assert (tmp_path / "care-demo" / demo.LOG_FILE).stat().st_size > 0

    assert run("demo", "--reset").code == 0
    assert not (tmp_path / "care-demo").exists()


def test_ctrl_c_ends_the_demo_cleanly(tmp_path: Path) -> None:
    """``--run-on`` runs on until Ctrl-C, which says what was done."""
    process = subprocess.Popen(
        [*START, "demo", "--run-on"], cwd=tmp_path,
        env=bare_environment({"CARE_WORKLIST_PORT": "0"}),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    next(line for line in process.stdout if b"http://" in line)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)

    assert process.returncode == 0, err
    assert b"Stopped at" in out
    assert b"Traceback" not in err


def test_a_visitor_completes_a_call_and_begins_again(tmp_path: Path) -> None:
    """With ``--run-on`` its pages are served: a call is taken and done, and its gap closes."""
    said_at = tmp_path / "said.txt"
    with said_at.open("wb") as told:
        process = subprocess.Popen(
            [*START, "demo", "--run-on"], cwd=tmp_path,
            env=bare_environment({"CARE_WORKLIST_PORT": "0"}), stdout=told, stderr=told,
        )  # fmt: skip
    try:
        address = printed(said_at)
        asking = httpx.Client(
            base_url=address, headers={"Authorization": "Bearer demo-rn"}, timeout=60
        )
        with asking as nurse:
            landing = until(lambda: nurse.get("/"))
            assert "DEMO: What there is to see" in landing.text
            token = re.search(r'name="csrf" value="([^"]+)"', landing.text)
            assert token is not None
            word = token[1]

            def press(button: str, **fields: str) -> httpx.Response:
                said = {"csrf": word, **fields}
                return nurse.post(button, data=said, headers={"Sec-Fetch-Site": "same-origin"})

            # Or the simulated nurses might be quicker.
            assert press("/demo/pace", pace="0").status_code == 303
            wanted = "/api/v1/tasks?kind=CALL_48H&overdue=true&born_overdue=false&owner=none"
            task = nurse.get(f"{wanted}&team=nurse-outreach&limit=1").json()["items"][0]
            gaps = "/api/v1/gaps?code=TASK_OVERDUE&status=open&limit=500"

            def overdue(got: httpx.Response) -> bool:
                # By identifier: who begins again has another site key, and so other keys.
                return any(
                    gap["patient"] == task["patient"] and gap["subject"].startswith("CALL_48H")
                    for gap in got.json()["items"]
                )

            assert overdue(nurse.get(gaps))
            done = nurse.post(
                f"/api/v1/tasks/{task['task_id']}/complete",
                json={"outcome": "ok", "reached": "patient", "answers": ANSWERS},
                headers={
                    "Idempotency-Key": "k", "If-Match": f'"{task["version"]}"', "Prefer": "wait=30",
                },
            )  # fmt: skip
            assert (done.status_code, done.json()["task"]["status"]) == (200, "completed")
            assert not overdue(nurse.get(gaps))

            assert press("/demo/over").status_code == 200
            until(lambda: nurse.get(gaps), overdue)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=120) == 0


def printed(path: Path) -> str:
    """The address of the pages, once it is told."""
    end = time.monotonic() + 120
    while (found := ADDRESS.search(path.read_text())) is None:
        assert time.monotonic() < end
        time.sleep(0.1)
    return found[0]


def until(
    ask: Callable[[], httpx.Response],
    holds: Callable[[httpx.Response], bool] = lambda got: got.status_code == 200,
) -> httpx.Response:
    """The first answer that *holds*; while the demo makes its hospital there is none."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            if holds(got := ask()):
                return got
        except (httpx.TransportError, KeyError):
            pass
        time.sleep(0.2)
    raise AssertionError("never came to be so")


def test_the_demo_deletes_nothing_that_is_not_its_own(run: Run, tmp_path: Path) -> None:
    """A folder that no demo made is left alone."""
    (tmp_path / "care-demo").mkdir()
    (tmp_path / "care-demo" / "thesis.txt").write_text("years of work")

    for args in (["demo"], ["demo", "--reset"]):
        ran = run(*args)
        assert ran.code == 2
        assert "not a demo's folder" in ran.err
    assert (tmp_path / "care-demo" / "thesis.txt").read_text() == "years of work"


def test_an_exported_journal_gives_the_published_records_again(run: Run, tmp_path: Path) -> None:
    """``replay --journal`` publishes byte for byte what the runtime published."""
    (tmp_path / "facilities.yaml").write_text(demo_stage.facilities_text())
    list(played(tmp_path / "demo", 6, HOUR))
    exported = run("topics", "read", "care.journal.v1", "--json", "--data-dir", "demo")
    (tmp_path / "journal.jsonl").write_text(exported.out)

    again = run("replay", "--journal", "journal.jsonl", "--facilities", "facilities.yaml")
    assert again.code == 0, again.err
    lines = [orjson.loads(line) for line in again.out.splitlines()]
    for topic in ("care.change.v1", "care.task.v1", "care.gap.v1"):
        first = run("topics", "read", topic, "--json", "--data-dir", "demo")
        published = [orjson.loads(line) for line in first.out.splitlines()]
        assert published
        given = records(line for line in lines if line["topic"] == topic)
        if topic == "care.change.v1":
            assert given == records(published)
        else:  # compacted: superseded versions may be gone, what is left is the same
            assert set(records(published)) <= set(given)

    (tmp_path / "journal.jsonl").write_text("".join(exported.out.splitlines(keepends=True)[5:]))
    broken = run("replay", "--journal", "journal.jsonl")
    assert broken.code == 2
    assert "a journal is run whole" in broken.err


def records(lines: Iterable[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted((row["partition"], row["offset"], row["key"], str(row["value"])) for row in lines)
