"""Runs blocks of a page of `docs/`, in their order and in one shell, on the product by hand."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.deploy.compose import ROOT
from tests.e2e.docker import Docker, standing_in
from tests.e2e.stack import BIN, Stack
from tests.markdown import Block, blocks, difference

HANDBOOK: Final = "docs/operate.md"
MARK: Final = "@@@ block"
LONGEST_S: Final = 1200


class Command(NamedTuple):
    """A block of a page that is run, and the text that is shown as its output."""

    page: str
    block: Block
    shown: Block | None


def commands(page: str = HANDBOOK, before: str = "") -> list[Command]:
    """Those of the page, or of its part before the heading *before*."""
    text = (ROOT / page).read_text(encoding="utf-8")
    end = text.count("\n", 0, text.index(f"\n## {before}\n")) if before else len(text)
    found = [block for block in blocks(text) if block.line <= end]
    following: list[Block | None] = [*found[1:], None]
    return [
        Command(page, one, after if after is not None and after.language == "text" else None)
        for one, after in zip(found, following, strict=True)
        if one.language == "sh"
    ]


def differences(asked: Sequence[Command], folder: Path) -> list[str]:
    """
    Run them in a checkout of their own; where the page does not say what came out.

    Raises:
        AssertionError: A command failed; it is named with what it said.
    """
    tree = folder / "checkout"
    tree.mkdir()
    shutil.copytree(ROOT / "deploy", tree / "deploy", ignore=shutil.ignore_patterns("secrets"))
    (tree / "docs").symlink_to(ROOT / "docs")
    (folder / "stand-in").mkdir()
    product = Stack(tree, tree / "deploy/secrets")
    script = "".join(f'{one.block.text}\nprintf "\\n{MARK}\\n"\n' for one in asked)
    try:
        with standing_in(Docker(product), sys.executable, folder / "stand-in") as found:
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
    assert done.returncode == 0, _ended(asked[len(outputs) - 1], outputs[-1], done.stderr)
    return [
        f"{one.page}:{one.shown.line}: {why}"
        for one, out in zip(asked, outputs, strict=False)
        if one.shown is not None and (why := difference(one.shown.text, out))
    ]


def _ended(at: Command, output: str, errors: str) -> str:
    return f"{at.page}:{at.block.line}: ended there\n{output}\n{errors[-3000:]}"
