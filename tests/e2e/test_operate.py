"""The operators' handbook keeps its word: its commands are run, on the product by hand."""

import os
import re
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from schemas.topics import TOPICS
from tests.deploy import compose
from tests.deploy.compose import ROOT
from tests.e2e.docker import Docker, standing_in
from tests.e2e.stack import BIN, Stack
from tests.markdown import Block, blocks, difference, rows

PAGE: Final = (ROOT / "docs/operate.md").read_text(encoding="utf-8")
MARK: Final = "@@@ block"
LONGEST_S: Final = 600


def commands() -> list[tuple[Block, Block | None]]:
    """Each block that is run, with the text that is shown as its output."""
    found = blocks(PAGE)
    following: list[Block | None] = [*found[1:], None]
    return [
        (one, after if after is not None and after.language == "text" else None)
        for one, after in zip(found, following, strict=True)
        if one.language == "sh"
    ]


@pytest.mark.slow
def test_every_command_of_the_handbook_does_as_it_says(tmp_path: Path) -> None:
    """In its order, in one shell, from making the secrets to a lost journal."""
    tree = tmp_path / "checkout"
    tree.mkdir()
    shutil.copytree(ROOT / "deploy", tree / "deploy", ignore=shutil.ignore_patterns("secrets"))
    (tree / "docs").symlink_to(ROOT / "docs")
    product = Stack(tree, tree / "deploy/secrets")
    script = "".join(f'{one.text}\nprintf "\\n{MARK}\\n"\n' for one, _ in commands())
    try:
        with standing_in(Docker(product), sys.executable, _folder(tmp_path / "stand-in")) as found:
            done = subprocess.run(
                ["bash", "-eu", "-c", script],
                cwd=tree,
                env={**os.environ, "PATH": f"{found}:{BIN}:{os.environ['PATH']}"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=LONGEST_S,
                check=False,
            )
    finally:
        product.down()
    outputs = done.stdout.split(f"\n{MARK}\n")
    assert done.returncode == 0, _ended(outputs, done.stderr)
    wrong = [
        f"docs/operate.md:{shown.line}: {why}"
        for (_, shown), out in zip(commands(), outputs, strict=False)
        if shown is not None and (why := difference(shown.text, out))
    ]

    assert wrong == []


def _ended(outputs: list[str], errors: str) -> str:
    block, _ = commands()[len(outputs) - 1]
    return f"docs/operate.md:{block.line}: ended there\n{outputs[-1]}\n{errors[-3000:]}"


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_command_lines_of_blocks_that_are_not_run_exist() -> None:
    """What the page shows without walking it is at least read by our program's parser."""
    shown = "".join(one.text for one in blocks(PAGE) if one.language == "console")
    lines = re.findall(r"docker compose run --rm care (.*)", shown)

    assert lines
    for line in lines:
        assert compose.parse(line.split())[0]


def test_retention_is_as_the_page_says() -> None:
    """The table's numbers of days are those of the topics' registry."""
    section = PAGE.partition("## Retention")[2].partition("\n## ")[0]
    days = {row[0]: row[1] for row in rows(section) if row[1].endswith("days")}
    told: dict[str, timedelta] = {}
    for names, kept in days.items():
        for name in re.findall(r"`(care\.[a-z.-]+\.v1)`", names):
            told[name] = timedelta(days=int(kept.split()[0]))

    assert set(told) == {
        "care.admission.v1", "care.dead-letter.v1", "care.journal.v1", "care.change.v1",
        "care.audit.v1",
    }  # fmt: skip
    assert {name: TOPICS[name].retention for name in told} == told


def test_links_lead_somewhere() -> None:
    """Every section that the page refers to is there, and every file that it names."""
    titles = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    named = set(re.findall(r"`((?:tests|deploy|docs)/[\w./-]+)`", PAGE))
    made = {name for name in named if name.startswith("deploy/secrets")}

    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors
    assert {name for name in named - made if not (ROOT / name).exists()} == set()
