"""Stands in for the command `docker` in `docs/operate.md`: the same words, the product by hand.

A script of that name hands its words over a socket to the process that has the `Stack`.  It knows
the handful of `docker compose` commands that the document uses and refuses every other, so that
the document cannot say what was not done.
"""

import argparse
import base64
import shutil
import signal
import socketserver
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

import orjson

from tests.e2e.stack import PROCESSES, Stack

SCRIPT: Final = """\
#!{python}
import base64, json, socket, sys
given = sys.stdin.buffer.read() if "-T" in sys.argv else b""
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect({socket!r})
    words = [base64.b64encode(given).decode(), sys.argv[1:]]
    asked.sendall(json.dumps(words).encode() + b"\\n")
    answer = json.loads(asked.makefile().readline())
sys.stdout.buffer.write(base64.b64decode(answer["out"]))
sys.stderr.write(answer["err"])
sys.exit(answer["code"])
"""
# The page's address of the worklist is that of the file; here it has another port.
CURL: Final = """\
#!/bin/sh
exec {curl} --connect-to 127.0.0.1:8000:127.0.0.1:{port} "$@"
"""


class Answer(NamedTuple):
    """What a command prints, and how it ends."""

    out: str | bytes = ""
    err: str = ""
    code: int = 0


class NotKnown(Exception):
    """The document uses something that this stand-in cannot do."""


class _Words(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise NotKnown(message)


class Docker:
    """`docker compose …` over a stack; *replicas* counts those of each worker."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.pages = stack.pages
        self._verbs: dict[str, Callable[[list[str]], Answer]] = {
            "up": self._up,
            "stop": self._stop,
            "kill": self._kill,
            "restart": self._restart,
        }

    def __call__(self, words: list[str], given: bytes = b"") -> Answer:
        """Do it; *given* is on its standard input."""
        if words[:1] == ["restart"]:
            return self._restart_one(words[1:])
        if words[:2] == ["compose", "exec"]:
            return self._exec(words[2:], given)
        if words[:2] == ["compose", "run"]:
            return (self._run_other if "--entrypoint" in words else self._run)(words[2:], given)
        if words[:1] != ["compose"] or words[1:2][0] not in self._verbs:
            raise NotKnown(" ".join(words))
        return self._verbs[words[1]](words[2:])

    def _up(self, words: list[str]) -> Answer:
        parser = _Words()
        parser.add_argument("--detach", action="store_true", required=True)
        parser.add_argument("--wait", action="store_true", required=True)
        parser.add_argument("--scale", action="append", default=[])
        parser.add_argument("services", nargs="*")
        asked = parser.parse_args(words)
        stack = self._stack
        stack.supervise()
        ending = [name for name in asked.services if not stack.services[name].goes_on]
        if ending:
            # Compose waits for what runs; what ends and is nobody's `depends_on` fails it.
            raise NotKnown(f"up --wait {' '.join(ending)}")
        wanted = self._with_what_they_need(asked.services or PROCESSES)
        counts = {name: int(count) for name, count in (one.split("=") for one in asked.scale)}
        for name in ("kafka", "access", "topics"):
            if name not in wanted or name in stack.running:
                continue
            if name == "kafka":
                stack.start(name)
                stack.wait(name)
                continue
            done = stack.run(name)
            if done.returncode:
                return Answer(done.stdout, done.stderr, 1)
        for name in [name for name in PROCESSES if name in wanted]:
            self._scale(name, counts.get(name, 1))
        return Answer()

    def _with_what_they_need(self, names: Iterable[str]) -> set[str]:
        needed = {
            other
            for name in names
            for other in self._stack.services[name].raw.get("depends_on", {})
        }
        return {*names, *(self._with_what_they_need(needed) if needed else ())}

    def _scale(self, name: str, count: int) -> None:
        stack = self._stack
        there = self._replicas(name)
        for process in there[count:]:
            stack.end(process)
        names = [name, *(f"{name}-{number}" for number in range(2, count + 1))]
        for process in [one for one in names if one not in there]:
            stack.start(name, process)
            stack.wait(process, name)

    def _replicas(self, name: str) -> list[str]:
        return sorted(one for one in self._stack.running if one.split("-")[0] == name)

    def _run(self, words: list[str], given: bytes) -> Answer:
        parser = _Words()
        parser.add_argument("--rm", action="store_true", required=True)
        parser.add_argument("-T", action="store_true")
        parser.add_argument("--env", "-e", action="append", default=[])
        parser.add_argument("service", choices=["access", "care", "publish", "worklist"])
        parser.add_argument("words", nargs=argparse.REMAINDER)
        asked = parser.parse_args(words)
        extra = dict(one.split("=", 1) for one in asked.env)
        done = self._stack.run(asked.service, *asked.words, extra=extra, given=given.decode())
        return Answer(done.stdout, done.stderr, done.returncode)

    def _run_other(self, words: list[str], given: bytes) -> Answer:
        """Another program in a container of the service, which has its volumes."""
        parser = _Words()
        for flag in ("--rm", "--no-deps", "-T"):
            parser.add_argument(flag, action="store_true", required=True)
        parser.add_argument("--entrypoint", required=True)
        parser.add_argument("service", choices=["kafka", "worklist"])
        parser.add_argument("words", nargs=argparse.REMAINDER)
        asked = parser.parse_args(words)
        if self._replicas(asked.service):
            raise NotKnown(f"{asked.service} runs: what it holds is not whole")
        done = self._stack.run_raw(asked.service, [asked.entrypoint, *asked.words], given)
        return Answer(done.stdout, done.stderr.decode(), done.returncode)

    def _exec(self, words: list[str], given: bytes) -> Answer:
        name, *command = [word for word in words if word != "-T"]
        if name not in self._stack.running:
            raise NotKnown(" ".join(words))
        done = self._stack.run_raw(name, command, given)
        return Answer(done.stdout, done.stderr.decode(), done.returncode)

    def _stop(self, words: list[str]) -> Answer:
        names = words or [*PROCESSES, "kafka"]
        for process in [one for name in names for one in self._replicas(name)]:
            self._stack.end(process)
        return Answer()

    def _kill(self, words: list[str]) -> Answer:
        (name,) = words
        for process in self._replicas(name):
            self._stack.end(process, signal.SIGKILL)
        return Answer()

    def _restart_one(self, words: list[str]) -> Answer:
        """One container, by the name that Compose gives it."""
        (container,) = words
        name, _, number = container.removeprefix("care-orchestrator-").rpartition("-")
        process = name if number == "1" else f"{name}-{number}"
        self._stack.end(process)
        self._stack.start(name, process)
        self._stack.wait(process, name)
        return Answer()

    def _restart(self, words: list[str]) -> Answer:
        replicas = [(process, name) for name in words for process in self._replicas(name)]
        with ThreadPoolExecutor() as pool:  # all at once, as Compose does
            list(pool.map(self._stack.end, [process for process, _ in replicas]))
        for process, name in replicas:
            self._stack.start(name, process)
        for process, name in replicas:
            self._stack.wait(process, name)
        return Answer()


@contextmanager
def standing_in(docker: Docker, python: str, folder: Path) -> Iterator[Path]:
    """A folder for the head of `PATH`, with a `docker` in it."""
    address = folder / "docker.socket"

    class Asked(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            given, words = orjson.loads(self.rfile.readline())
            try:
                answer = docker(words, base64.b64decode(given))
            except (NotKnown, AssertionError) as problem:
                answer = Answer(err=f"{type(problem).__name__}: {problem}\n", code=125)
            out = answer.out if isinstance(answer.out, bytes) else answer.out.encode()
            told = {**answer._asdict(), "out": base64.b64encode(out).decode()}
            self.wfile.write(orjson.dumps(told) + b"\n")

    made = {
        "docker": SCRIPT.format(python=python, socket=str(address)),
        "curl": CURL.format(curl=shutil.which("curl"), port=docker.pages),
    }
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    with socketserver.UnixStreamServer(str(address), Asked) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield folder
        finally:
            server.shutdown()
