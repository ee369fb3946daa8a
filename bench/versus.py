"""What an event costs in this tree and in another one: ``python -m bench.versus OTHER``.

Both trees take the same accepted events, by turns, in processes of their own; the ratio is that of
the best turns.  *Processor* is all that decide does in memory, what it sends itself included.  On a
busy machine ``--counted`` counts instructions of Python's virtual machine instead, ``--machine``
those of the machine (needs valgrind): always the same, or nearly.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

import orjson

from bench import feed

HERE: Final = Path(__file__).resolve().parent.parent

# Runs in the other tree, too: only what both have.
ARM: Final = """
import gc, inspect, sys, time
import orjson
from bench import feed
from bench.people import SITE_KEY
from bench.speed import RULES, decide, story
from orchestrator.core.instants import read
from orchestrator.stream.keys import patient_key
from orchestrator.stream.memory_store import MemoryStore
from orchestrator.stream.processor import Processor
from orchestrator.stream.rounds import JournalRecord

events = [orjson.loads(line) for line in open(sys.argv[1], "rb")]
told = story(events)
records = [
    JournalRecord(0, n, read(event["receivedtime"]), patient_key(SITE_KEY, event["subject"]),
                  orjson.dumps({"kind": "event", "event": event}))
    for n, event in enumerate(events)
]

def process():
    store = MemoryStore()
    keyed = "site_key" in inspect.signature(Processor).parameters
    processor = Processor(store, RULES, feed.FACILITIES, *([SITE_KEY] if keyed else []))
    for start in range(0, len(records), 500):
        batch = records[start:start + 500]
        while batch:
            rnd = processor.process(0, batch)
            made = getattr(rnd, "journal", [])  # not every tree sends itself anything
            sent = [JournalRecord(0, 0, batch[-1].stamp, *one) for one in made]
            del made[:]
            store.commit(rnd)
            store.published.clear()
            batch = sent

def cost(run):
    gc.collect()
    before = time.process_time()
    run()
    return (time.process_time() - before) / len(events) * 1e6

def counted(run):
    count = 0

    def entered(frame, _event, _argument):
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return happened

    def happened(_frame, event, _argument):
        nonlocal count
        count += event == "opcode"
        return happened

    sys.settrace(entered)
    run()
    sys.settrace(None)
    return count / len(events)

runs = (lambda: decide(told)), process
if sys.argv[2] == "machine":  # valgrind counts: so many turns of one of them
    for _ in range(int(sys.argv[4])):
        runs[int(sys.argv[3])]()
    sys.exit()
for run in runs:
    run()
if sys.argv[2] == "counted":
    print(*map(counted, runs))
else:
    print(*(min(cost(run) for _ in range(2)) for run in runs))
"""


def main(arguments: list[str] | None = None) -> int:
    """Take the turns and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.versus", description=__doc__)
    parser.add_argument("other", type=Path, help="e.g. what `git archive COMMIT` unpacks to")
    parser.add_argument("--events", type=int, default=6_000)
    parser.add_argument("--turns", type=int, default=6)
    exact = parser.add_mutually_exclusive_group()
    exact.add_argument("--counted", action="store_true", help="Python's instructions, one turn")
    exact.add_argument("--machine", action="store_true", help="the machine's, one turn")
    chosen = parser.parse_args(arguments)
    once = chosen.counted or chosen.machine
    unit = "instructions" if once else "µs CPU"
    trees = {"this tree": HERE, "the other": chosen.other.resolve()}
    taken: dict[str, list[list[float]]] = {name: [] for name in trees}
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "accepted.ndjson"
        events = feed.accepted(feed.happenings(chosen.events))
        lines.write_bytes(b"\n".join(map(orjson.dumps, events)))
        for _ in range(1 if once else chosen.turns):
            for name, tree in trees.items():
                if chosen.machine:
                    taken[name].append([_executed(tree, lines, n) / len(events) for n in (0, 1)])
                else:
                    taken[name].append(_turn(tree, lines, "counted" if once else "timed"))
    for number, what in enumerate(("core", "processor")):
        turns = [[turn[number] for turn in taken[name]] for name in trees]
        ours, theirs = map(min, turns)
        print(f"{what}: {ours:.1f} {unit} an event, the other {theirs:.1f}: {ours / theirs:.3f}")
        ratios = sorted(one / other for one, other in zip(*turns, strict=True))
        if len(ratios) > 1:
            low, high, middle = ratios[0], ratios[-1], median(ratios)
            print(f"  turn by turn {low:.3f} to {high:.3f}, median {middle:.3f}")
    return 0


def _turn(tree: Path, lines: Path, how: str) -> list[float]:
    return [float(word) for word in _ran(tree, [str(lines), how]).stdout.split()]


def _executed(tree: Path, lines: Path, number: int) -> int:
    """Instructions of the machine in one more turn."""
    valgrind = [
        "valgrind",
        "--tool=cachegrind",
        "--cache-sim=no",
        "--cachegrind-out-file=/dev/null",
    ]
    counts = []
    for turns in ("1", "2"):
        said = _ran(tree, [str(lines), "machine", str(number), turns], valgrind).stderr
        (found,) = re.findall(r"I +refs: +([\d,]+)", said)
        counts.append(int(found.replace(",", "")))
    return counts[1] - counts[0]


def _ran(
    tree: Path, arguments: list[str], under: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    fixed = {"PYTHONHASHSEED": "0"} if under else {}
    return subprocess.run(
        [*under, sys.executable, "-c", ARM, *arguments],
        cwd=tree,
        env={"PYTHONPATH": str(tree), "PATH": "/usr/bin:/bin", **fixed},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if under else None,
        check=True,
        text=True,
    )


if __name__ == "__main__":
    sys.exit(main())
