"""The README keeps its word: its commands run, its examples are valid, what it names is there."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import pytest
import typer
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

import events
from events.files import read
from orchestrator.cli.app import app
from orchestrator.settings import PREFIX, Settings
from orchestrator.stream.replay import replay
from schemas.changes import Change
from schemas.events import EVENT
from schemas.facilities import Facilities
from schemas.gaps import Gap
from schemas.tasks import Task
from tests.markdown import Block, blocks, code_words, difference, rows

ROOT: Final = Path(__file__).resolve().parent.parent
README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
DISCHARGE: Final = ROOT / "docs/examples/one-discharge/1-discharge.hl7"
FACILITIES: Final = ROOT / "docs/examples/facilities.yaml"

PUBLISHED: Final[dict[str, type[BaseModel]]] = {"task_id": Task, "gap_id": Gap, "change": Change}
# What running makes; the README names it, git does not hold it.
MADE: Final = (".venv", "care-data", "care-demo")
LONGEST_S: Final = 900

# Between two blocks: its number and how the block ended, on a line that nothing else prints.
MARK: Final = "@@@ block"

# Stands in for `sleep`: waits until `up` has decided on all that was sent, however slow the
# machine, and at least a moment, so that a reader's five seconds are long enough here too.
SLEEP: Final = """\
import sys, time
from pathlib import Path
from orchestrator.stream.sqlite_log import Log
from schemas.topics import INPUTS
time.sleep(1)
end = time.monotonic() + 60
with Log.open(Path({data!r})) as log:
    while time.monotonic() < end:
        sent = sum(len(log.read(t, 0, 0, 99)) for t in INPUTS if t in log.topics())
        told = sum(
            b'"event.recorded"' in (record.value or b"")
            for partition in range(log.partitions)
            for record in log.read("care.change.v1", partition, 0, 99)
        ) if "care.change.v1" in log.topics() else 0
        if told >= sent:
            break
        time.sleep(0.2)
"""


class Ended(NamedTuple):
    """What one block of commands printed, and the exit code of its last command."""

    out: str
    code: int


def _with_outputs() -> list[tuple[Block, Block | None]]:
    """Each block of commands, with the block of text that is shown as its output."""
    found = blocks(README)
    following: list[Block | None] = [*found[1:], None]
    return [
        (one, after if after is not None and after.language == "text" else None)
        for one, after in zip(found, following, strict=True)
        if one.language == "sh"
    ]


def _program(path: Path, code: str) -> None:
    path.write_text(f"#!{sys.executable}\n{code}", encoding="utf-8")
    path.chmod(0o755)


def _as_a_reader(where: Path) -> list[Ended]:
    """All commands of the README, run in one shell as a reader would, in a folder of their own."""
    folder, programs = where / "checkout", where / "programs"
    folder.mkdir()
    programs.mkdir()
    (folder / "docs").symlink_to(ROOT / "docs")
    _program(programs / "care-orchestrator", "from orchestrator.cli import main\nmain()\n")
    _program(programs / "sleep", SLEEP.format(data=str(folder / "care-data" / "try")))
    script = "".join(f'{one.text}\nprintf "\\n{MARK} %s\\n" $?\n' for one, _ in _with_outputs())
    path = f"{programs}:{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/sh", "-u", "-c", script],
        cwd=folder,
        env=_environment(PATH=path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LONGEST_S,
        check=False,
    )
    parts = re.split(rf"\n{MARK} (\d+)\n", done.stdout.decode())
    assert len(parts) == 2 * len(_with_outputs()) + 1, done.stderr.decode()
    return [Ended(out, int(code)) for out, code in zip(parts[:-1:2], parts[1::2], strict=True)]


def _environment(**given: str) -> dict[str, str]:
    """This process's environment without settings of the product."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return {**kept, "PYTHONPATH": str(ROOT), **given}


@pytest.mark.slow
def test_commands_print_what_is_shown(tmp_path: Path) -> None:
    """
    Every block of commands runs, in order, ends well and prints the lines shown below it.
    """
    wrong = []
    for (block, shown), ended in zip(_with_outputs(), _as_a_reader(tmp_path), strict=True):
        if ended.code:
            wrong.append(f"README.md:{block.line}: ended with {ended.code}")
        elif shown is not None and (why := difference(shown.text, ended.out)):
            wrong.append(f"README.md:{shown.line}: {why}")

    assert wrong == []


@pytest.mark.slow
def test_demo_shows_what_is_shown(tmp_path: Path) -> None:
    """
    What the README shows of the demo is what the demo shows; its speed changes nothing in that.
    """
    shown = next(one for one in blocks(README) if one.language == "text")
    program = "from orchestrator.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "demo", "--speed", "36000", "--seconds", "2"],
        cwd=tmp_path,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LONGEST_S,
        check=True,
    )

    assert difference(shown.text, done.stdout.decode()) is None


def _json_examples() -> list[Any]:
    return [orjson.loads(one.text) for one in blocks(README) if one.language == "json"]


def test_json_examples_are_valid() -> None:
    """
    Every JSON example is an event, task, gap or change that the published schemas take.
    """
    examples = _json_examples()

    assert examples
    for example in examples:
        model = next((PUBLISHED[name] for name in PUBLISHED if name in example), None)
        if model is None:
            EVENT.validate_python(example)
        else:
            model.model_validate(example)


def test_event_example_is_what_the_hl7_message_becomes() -> None:
    """
    The event shown is the one that the example's HL7 message becomes, and the task its task.
    """
    facilities = Facilities.load(FACILITIES)
    (record,) = read([str(DISCHARGE)])
    decoded = events.decode_record(record.kind, record.raw, facilities)
    (patient,) = replay(read([str(DISCHARGE)]), facilities=facilities)["patients"]
    event, task = _json_examples()

    assert event == decoded.events[0]
    assert task == next(t for t in patient["tasks"] if t["kind"] == "CALL_48H")


def test_named_paths_exist() -> None:
    """
    Every file and folder of this repository that the README names is there.
    """
    links = re.findall(r"\]\(([^)#]+)\)", README)
    named = [w for w in code_words(README) if re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", w)]
    paths = [w for w in named if "/" in w and not w.startswith(MADE)]

    assert len(paths) > 30
    assert [path for path in (*paths, *links) if not (ROOT / path).exists()] == []


def test_every_command_is_described() -> None:
    """
    Every command of the program stands in the table of commands, and no other does.
    """
    described = {
        word.partition(" PATH")[0]
        .partition(" TOPIC")[0]
        .partition(" FILE")[0]
        .partition(" SUBJ")[0]
        for row in rows(README.partition("## Commands")[2].partition("### Settings")[0])
        for word in code_words(row[0])
    }

    assert described == set(_commands(typer.main.get_command(app)))


def _commands(command: Any, prefix: str = "") -> list[str]:
    found: list[str] = []
    for name, inner in command.commands.items():
        has_commands = hasattr(inner, "commands")
        found += _commands(inner, f"{prefix}{name} ") if has_commands else [prefix + name]
    return found


def test_every_setting_is_described_with_its_default() -> None:
    """
    Every setting stands in the table of settings, those with a plain default with that.
    """
    table = {row[0].strip("`"): row[1] for row in rows(README) if row[0].startswith(f"`{PREFIX}")}

    assert set(table) == {PREFIX + name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        if field.default is not None:
            default = str(to_jsonable_python(field.default))  # a length of time as PT1M
            assert default in table[PREFIX + name.upper()]


def test_make_verbs_exist() -> None:
    """
    Every chore that the README calls by its `make` verb is one of the Makefile's.
    """
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = {word.split()[1] for word in code_words(README) if re.match(r"make \w", word)}

    assert named >= {"demo", "test"}
    assert {verb for verb in named if not re.search(rf"^{verb}:", makefile, re.MULTILINE)} == set()


def test_links_to_sections_lead_somewhere() -> None:
    """
    A link to a section of this page has that section.
    """
    titles = re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}

    assert set(re.findall(r"\]\(#([^)]+)\)", README)) <= anchors
