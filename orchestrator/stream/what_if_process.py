"""`what_if` in a process of its own: the question on standard input, lines on standard output.

Deciding about years of discharges takes minutes of one core; in the server's process every page
would wait for it.  It is nice, since live work goes first, and it ends when nobody listens: its
next line about how far it is meets a closed pipe.
"""

import os
import pickle
import sys
import time
from collections.abc import Callable
from typing import IO, Any, Final

import orjson

from orchestrator import log
from orchestrator.stream.shelf import Journal
from orchestrator.stream.what_if import Question, what_if

PROGRAM: Final = "from orchestrator.stream.what_if_process import main; main()"
NICE: Final = 10
TELL_EACH_S: Final = 0.25


def main() -> None:
    """Answer the one question that the parent asks."""
    log.configure("error", "json")  # on standard error; the answer has standard output alone
    os.nice(NICE)
    asked, journal, folder = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own parent's
    # Where patients' data may lie; what is temporary elsewhere may be memory, or another's disk.
    os.environ["SQLITE_TMPDIR"] = str(folder)
    answer(asked, journal, sys.stdout.buffer)


def answer(asked: Question, journal: Journal, out: IO[bytes]) -> None:
    """Write how far it is now and then, and at the end the result."""
    try:
        result = what_if(asked, journal, _telling(out))
        _write(out, {"result": result})
    except BrokenPipeError:  # nobody wants to know any more
        os._exit(1)


def _telling(out: IO[bytes]) -> Callable[[int, int], None]:
    told = 0.0

    def tell(done: int, total: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= TELL_EACH_S:
            told = now
            _write(out, {"done": done, "total": total})

    return tell


def _write(out: IO[bytes], line: dict[str, Any]) -> None:
    out.write(orjson.dumps(line) + b"\n")
    out.flush()
