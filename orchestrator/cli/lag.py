"""``lag``: how far behind the readers are, in records and in seconds, and which do not move.

Looked at from outside the worker: it answers while that is stuck, and when it is dead.
"""

import signal
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from orchestrator import log
from orchestrator.cli import door, on_kafka, site
from orchestrator.cli.console import counted, decorated, hint, say, say_json, table
from orchestrator.cli.faults import NO, Mistake

if TYPE_CHECKING:
    from orchestrator.ops.lag import Position, Sample

# Who is behind is looked at twice: whether it moves is half of the answer.
AGAIN_S: Final = 2.0
WATCH_S: Final = 5.0
_COLUMNS: Final = ("group", "topic", "part", "end", "done", "lag", "behind", "held by", "state")
_RIGHT: Final = frozenset({"part", "end", "done", "lag"})
# On a narrow terminal these go first: what is left still says what is wrong, and where.
_SPARED: Final = ("held by", "end", "group")
_NAMED: Final = 3
_ROWS: Final = 24  # more say no more
_CLEAR: Final = "\x1b[H\x1b[2J"


def run(*, data_dir: Path | None, watch: bool, serve: bool, as_json: bool) -> None:
    """
    Print it once, again and again, or serve it to Prometheus.

    Raises:
        Mistake: Two of them are asked for.
    """
    if serve and (watch or as_json):
        raise Mistake("--serve prints nothing: give it without --watch and --json")
    here = site.load(data_dir=data_dir)
    on_kafka.hush()
    if serve:
        log.configure(here.log_level, here.log_format)
        lag = door.sampler(here)
        with door.of_lag(here, lag):
            _signalled().wait()
        return
    from orchestrator.ops.lag import Judge

    behind = int(here.behind_after / timedelta(microseconds=1))
    opened = door.looks(here)
    if watch:
        _watch(opened, Judge(behind, stalled_us=behind), as_json=as_json)
        return
    judge = Judge(behind, stalled_us=int(AGAIN_S * 0.9 * 1_000_000))
    with opened() as look:
        sample = _judged(judge, look)
        if any(one.state == "LAGGING" for one in sample.positions):
            time.sleep(AGAIN_S)
            sample = _judged(judge, look)
    _show(sample, as_json=as_json)
    if not sample.current:
        sys.exit(NO)


def _watch(opened: Any, judge: Any, *, as_json: bool) -> None:
    stopped = _signalled()
    while not stopped.is_set():
        try:
            with opened() as look:
                while not stopped.is_set():
                    sample = _judged(judge, look)
                    if decorated(sys.stdout) and not as_json:
                        sys.stdout.write(_CLEAR)
                    _show(sample, as_json=as_json)
                    sys.stdout.flush()
                    stopped.wait(WATCH_S)
        except Exception as problem:  # told in words if it is one that passes
            if not hasattr(problem, "exit_code"):
                raise
            hint(f"care-orchestrator: {problem}")
            stopped.wait(WATCH_S)


def _signalled() -> threading.Event:
    asked = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        asked.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    return asked


def _judged(judge: Any, look: Any) -> "Sample":
    seen = look.look()
    sample: Sample = judge.judge(
        seen.readings, seen.at, seen.cluster, seen.bounds, seen.deadlines, seen.clock
    )
    return sample


def _show(sample: "Sample", *, as_json: bool) -> None:
    if as_json:
        say_json(as_plain(sample))
    else:
        say("\n".join(as_text(sample)))


def as_plain(sample: "Sample") -> dict[str, Any]:
    """A sample for programs; ``null`` is not known."""
    return {
        "at": _instant(sample.at).isoformat().replace("+00:00", "Z"),
        "cluster_name": sample.cluster,
        "current": sample.current,
        "clock_age_seconds": sample.clock_s,
        "groups": [
            {
                "group": group.name,
                "max_lag": group.max_lag,
                "max_lag_seconds": group.max_seconds,
                "sum_lag": group.sum_lag,
                "partitions": [
                    {
                        "topic": one.reading.topic,
                        "partition": one.reading.partition,
                        "earliest_offset": one.reading.first,
                        "latest_offset": one.reading.end,
                        "offset": one.reading.done,
                        "lag": one.lag,
                        "lag_seconds": one.seconds,
                        "state": one.state,
                    }
                    for one in group.positions
                ],
            }
            for group in sample.groups()
        ],
        "deadlines_backlog": sample.deadlines,
    }


def as_text(sample: "Sample") -> list[str]:
    """A sample for people: a sentence, the worst partitions first, one line for the rest."""
    from orchestrator.ops.lag import WORST_FIRST

    bad = sorted(
        (one for one in sample.positions if one.state != "OK"),
        key=lambda p: (WORST_FIRST.index(p.state), -(p.seconds or 0), -(p.lag or 0)),
    )
    lines = [_sentence(sample, bad)]
    held_by = _holder(sample)
    if bad:
        rows = [_row(one, held_by) for one in bad[:_ROWS]]
        lines += table(_COLUMNS, rows, right=_RIGHT, spared=_SPARED)
    if len(bad) > _ROWS:
        lines.append(f"  and {len(bad) - _ROWS:,} more that are not current: --json lists them")
    fine = [one for one in sample.positions if one.state == "OK"]
    if fine:
        most = max((one.seconds for one in fine if one.seconds is not None), default=0.0)
        which = "other " if bad else "all "
        lines.append(f"  {which}{counted(len(fine), 'partition')}: OK, at most {_behind(most)}")
    if sample.deadlines is not None:
        held = sample.deadlines if held_by is not None else 0
        lines.append(
            f"Deadlines: {sample.deadlines - held:,} due and not fired; {held:,} held by lag."
        )
    return lines


def _sentence(sample: "Sample", bad: Sequence["Position"]) -> str:
    """The one line that a pager would say."""
    if all(one.state == "UNKNOWN" for one in sample.positions):
        return "Unknown: no reader ever said how far it is. Did a worker ever run?"
    if sample.stands:
        stood = _behind(sample.clock_s or 0.0)
        behind = f" Behind: {_names(bad)}." if bad else ""
        return f"No deadline fires: the last clock is {stood} old (does a worker run?).{behind}"
    fine = [one.seconds or 0.0 for one in sample.positions if one.state == "OK"]
    if not fine:
        return f"Behind {_behind(sample.seconds or 0.0)}: nothing is current."
    until = _instant(sample.at) - timedelta(seconds=max(fine))
    current = f"All current to {until:%H:%M:%S} UTC ({_behind(max(fine))})"
    return f"{current} except {_names(bad)}." if bad else f"{current}."


def _names(positions: Sequence["Position"]) -> str:
    names = [f"{_short(one.reading.topic)} {one.reading.partition}" for one in positions]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _holder(sample: "Sample") -> str | None:
    """The live input that holds the clocks, if one is behind: the oldest untaken record's."""
    from schemas.topics import BACKFILL, JOURNAL

    behind = [
        one
        for one in sample.positions
        if one.reading.topic not in (BACKFILL, JOURNAL) and one.state not in ("OK", "UNKNOWN")
    ]
    worst = max(behind, key=lambda one: one.seconds or 0, default=None)
    return None if worst is None else worst.reading.topic


def _row(one: "Position", held_by: str | None) -> tuple[str, ...]:
    from schemas.topics import JOURNAL

    reading = one.reading
    return (
        reading.group.rpartition("-")[2],
        _short(reading.topic),
        str(reading.partition),
        f"{reading.end:,}",
        "-" if reading.done is None else f"{reading.done:,}",
        "-" if one.lag is None else f"{one.lag:,}",
        "-" if one.seconds is None else _behind(one.seconds),
        _short(held_by or "-") if reading.topic == JOURNAL else "-",
        one.state,
    )


def _short(topic: str) -> str:
    """``care.medication``: which version it is says nothing here."""
    return topic.removesuffix(".v1")


def _behind(seconds: float) -> str:
    from orchestrator.ops import spans

    return spans.of_seconds(seconds)


def _instant(at: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)
