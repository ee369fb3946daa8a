"""Reads a policy that somebody sent, in a process of its own.

YAML of a stranger is read in pure Python, some of it in quadratic time; in the server's process
every page would wait for that.  Here the file is small, has a minute, and is read elsewhere.
"""

import asyncio
import os
import pickle
import sys
from asyncio.subprocess import PIPE
from contextlib import suppress
from typing import Any, Final

import orjson

from schemas.policy import Policy, parse_policies
from schemas.yaml_node import FieldFault

LONGEST: Final = 64 * 1024  # bytes; the built-in policy is a tenth of it
READ_S: Final = 60.0
NICE: Final = 10
PROGRAM: Final = "from orchestrator.worklist.reading_policy import main; main()"

_TOO_LONG: Final = f"must be at most {LONGEST // 1024} KiB"
_NO_TEXT: Final = "holds a text, a number or a nesting that no policy has"
_TOO_SLOW: Final = "takes too long to read"


async def read_policy(said: Any) -> tuple[Policy, ...]:
    """
    The proposed policy: the text of a file, or what it means as JSON.

    Raises:
        FieldFault: It cannot be used; says in which line and field, and what is allowed.
    """
    try:
        # Every JSON is YAML, but has no lines that its author knows.
        text = said.encode() if isinstance(said, str) else orjson.dumps(said)
    except (UnicodeEncodeError, TypeError):
        raise FieldFault(None, "", _NO_TEXT) from None
    if len(text) > LONGEST:
        raise FieldFault(None, "", _TOO_LONG)
    found = await _read_elsewhere(text)
    if isinstance(found, tuple):
        return found
    line, field, complaint = found["line"], found["field"], found["complaint"]
    raise FieldFault(line if isinstance(said, str) else None, field, complaint)


async def _read_elsewhere(text: bytes) -> Any:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, stdin=PIPE, stdout=PIPE
    )
    try:
        async with asyncio.timeout(READ_S):
            told, _ = await process.communicate(text)
    except TimeoutError:
        raise FieldFault(None, "", _TOO_SLOW) from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if process.returncode:
        raise FieldFault(None, "", _NO_TEXT)
    return pickle.loads(told)  # noqa: S301 - what our own program has written


def main() -> None:
    """The other process: the text on standard input, what it means or what is wrong with it out."""
    os.nice(NICE)
    found: tuple[Policy, ...] | dict[str, Any]
    try:
        found = parse_policies(sys.stdin.buffer.read().decode())
    except FieldFault as fault:
        found = {"line": fault.line, "field": fault.field, "complaint": fault.complaint}
    sys.stdout.buffer.write(pickle.dumps(found))
