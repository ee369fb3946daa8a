"""A copy of the tree in which bugs are planted, one at a time, and tests are run."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.planted.bug import ROOT, Bug

_COPIED: Final = (
    "schemas",
    "events",
    "handlers",
    "orchestrator",
    "tests",
    "bench",
    "docs",
    "deploy",
)
_LONGEST_S: Final = 600
_FAILED: Final = 1  # pytest's exit code when tests ran and some failed


class Field:
    """One copy; tests run in it as they run in the tree."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "tree"
        self.temporary = folder / "tmp"
        self.folder.mkdir()
        self.temporary.mkdir()
        for name in _COPIED:
            if (ROOT / name).is_dir():
                away = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / name, self.folder / name, ignore=away)
        for file in ROOT.glob("*.*"):
            if file.is_file():
                shutil.copy2(file, self.folder)

    @contextmanager
    def with_bug(self, bug: Bug) -> Iterator[None]:
        """The copy with *bug* in it; afterwards it is as before."""
        path = self.folder / bug.file
        before = path.read_text(encoding="utf-8")
        path.write_text(bug.planted(self.folder), encoding="utf-8")
        try:
            yield
        finally:
            path.write_text(before, encoding="utf-8")

    def failing(self, tests: tuple[str, ...]) -> list[str]:
        """Those of *tests* that fail, each run by itself."""
        return [test for test in tests if self._fails(test)]

    def _fails(self, test: str) -> bool:
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
        # Without files of bytecode: two texts of one second and one length would share theirs.
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(self.folder)}
        environment["PYTEST_DEBUG_TEMPROOT"] = str(self.temporary)
        for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_CURRENT_TEST"):
            environment.pop(name, None)
        with subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                told, _ = process.communicate(timeout=_LONGEST_S)
            except subprocess.TimeoutExpired:
                # Whoever waits for it notices; its brokers end with it, if it may end them.
                process.send_signal(signal.SIGINT)
                process.communicate()
                return True
        # Anything else than passed or failed (no such test, an error while collecting) proves
        # nothing about the bug.
        if process.returncode not in (0, _FAILED) or " error" in told.splitlines()[-1]:
            raise RuntimeError(f"{test} did not run:\n{told[-4000:]}")
        return process.returncode == _FAILED


@contextmanager
def field() -> Iterator[Field]:
    """A copy that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="planted-"))
    try:
        yield Field(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
