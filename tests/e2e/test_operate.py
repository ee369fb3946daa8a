"""The operators' handbook keeps its word: its commands are run, on the product by hand."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.deploy.compose import ROOT
from tests.e2e.docker import Docker, standing_in
from tests.e2e.stack import BIN, Stack
from tests.markdown import Block, blocks, difference

PAGE: Final = (ROOT / "docs/operate.md").read_text(encoding="utf-8")
MARK: Final = "@@@ block"
LONGEST_S: Final = 1200


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
