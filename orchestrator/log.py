"""Logs: one JSON line on stderr per event, in which a patient cannot appear.

The event is a dotted identifier (``record.parked``), everything else is a field, and only the
fields of ``FIELDS`` pass: what is not on the list is dropped and its name (never its value) is
reported under ``dropped``.  Values must be numbers, truth values or short strings, so a payload
put under an allowed name does not pass either.  An exception becomes its type and the places it
went through; its message is left out, because the message of a bug (``KeyError: 'GEN|MRN123'``)
repeats what it stumbled over.  Libraries that use ``logging`` come through the same processors.
"""

import logging
import math
import re
import sys
import time
import traceback
from collections.abc import Mapping, MutableMapping
from types import TracebackType
from typing import Any, Final, Literal, TextIO

import structlog

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["json", "console"]

# Words and numbers of the software and of the configuration, opaque ids, pseudonymous keys.
# Never: subject, patient, name, birth date, phone, free text, payload.
FIELDS: Final = frozenset(
    {
        # added by the machinery below
        "event", "level", "timestamp", "exception", "dropped", "logger", "place",
        # where a record was
        "topic", "partition", "offset", "event_id", "source", "type", "lane", "patient_key",
        "facility", "feed", "receipt", "file", "line", "segment",
        # what became of it
        "reason", "stage", "result", "detail", "error_count",
        # what was decided
        "task_id", "gap_id", "transition_id", "kind", "code", "status", "team", "change",
        "version", "policy_version", "severity", "due_at", "at",
        # how it runs
        "runtime", "role", "count", "partitions", "size", "seconds", "rate", "lag_s", "port",
        "signal", "exit_code", "python", "data_dir", "setting", "attempt",
    }
)  # fmt: skip
EVENT_NAME: Final = re.compile(r"[a-z_]+(\.[a-z_0-9]+)+")
VALUE_LENGTH_MAX: Final = 200
REPEAT_S: Final = 10.0
HELD_BACK: Final = "held_back"

# The least level that is written, as `configure` set it: for those who would log each record, and
# for whom even a line that is dropped costs too much.
_least = logging.INFO

Event = MutableMapping[str, Any]  # structlog's own type for what passes between processors


def place(tb: TracebackType | None) -> str:
    """The way of a traceback, innermost last: ``module.py:12 function`` without any values."""
    frames = traceback.extract_tb(tb)
    return " > ".join(f"{_short(f.filename)}:{f.lineno} {f.name}" for f in frames)


def describe(exc: BaseException) -> str:
    """An exception and what caused it, by type and place; nothing of what it was about."""
    parts: list[str] = []
    seen: set[int] = set()
    link: BaseException | None = exc
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        parts.append(f"{type(link).__name__} at {place(link.__traceback__) or 'unknown place'}")
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "; from ".join(parts)


def _short(filename: str) -> str:
    # The last two parts tell the module; the rest is the machine's business.
    return "/".join(filename.replace("\\", "/").split("/")[-2:])


def render_exception(_logger: object, _method: str, event: Event) -> Event:
    """Replace ``exc_info`` by type and place."""
    exc_info = event.pop("exc_info", None)
    if exc_info is True:
        exc_info = sys.exc_info()
    exc = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if isinstance(exc, BaseException):
        event["exception"] = describe(exc)
    return event


def allow_listed(_logger: object, _method: str, event: Event) -> Event:
    """Let through what is on the list and harmless in form; report the names of the rest."""
    kept = {name: value for name, value in event.items() if name in FIELDS and _harmless(value)}
    dropped = sorted(name for name in event if name not in kept and not name.startswith("_"))
    if not EVENT_NAME.fullmatch(str(kept.get("event", ""))):
        # Text in place of a name may have been formatted with anything.
        kept["event"] = "log.unnamed"
    if "exception" in event:  # long, and made by render_exception alone
        kept["exception"] = event["exception"]
        dropped = [name for name in dropped if name != "exception"]
    if dropped:
        kept["dropped"] = " ".join(name for name in dropped if name.isidentifier())
    return kept


def _harmless(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= VALUE_LENGTH_MAX
    return value is None or isinstance(value, bool | int | float)


def from_library(_logger: object, _method: str, event: Event) -> Event:
    """
    Name what a library said through ``logging`` without repeating its words.

    Faust and aiokafka format records, keys and broker answers into their texts.  The logger's
    name and the line in its source lead a developer to the text.
    """
    record: logging.LogRecord | None = event.get("_record")
    if record is not None:
        event["event"] = "library.logged"
        event["logger"] = record.name
        event["place"] = f"{_short(record.pathname)}:{record.lineno}"
        if held_back := getattr(record, HELD_BACK, 0):
            event["count"] = held_back
    return event


class Repeats(logging.Filter):
    """
    Lets one line in ten seconds through of each place in a library's source.

    While brokers are away, aiokafka says so seventy times a second.  The next line that passes says
    how many were held back (``count``).
    """

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[tuple[str, int], tuple[float, int]] = {}  # when, and held back since

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether *record* is to be written."""
        place = record.pathname, record.lineno
        told, held_back = self._told.get(place, (-math.inf, 0))
        now = time.monotonic()
        if now - told < REPEAT_S:
            self._told[place] = told, held_back + 1
            return False
        self._told[place] = now, 0
        setattr(record, HELD_BACK, held_back)
        return True


def configure(
    level: Level = "info", form: Format | None = None, stream: TextIO | None = None
) -> None:
    """
    Send every log of this process to *stream* as lines of *form*.

    Args:
        level: The least important level that is written.  No level writes payloads.
        form: Default: ``console`` on a terminal, else ``json``.
        stream: Default: standard error, as it is when this is called.
    """
    out = stream or sys.stderr
    form = form or ("console" if out.isatty() else "json")
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[structlog.typing.Processor] = [render_exception, allow_listed, _renderer(form, out)]
    number = logging.getLevelNamesMapping()[level.upper()]
    global _least  # noqa: PLW0603 - as structlog's own configuration is the process's
    _least = number
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,  # a second `configure`, as in tests, must take effect
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[from_library, *last], foreign_pre_chain=shared
        )
    )
    root = logging.getLogger()
    handler.addFilter(Repeats())
    root.handlers[:] = [handler]
    # Libraries speak much at `info`; what they report there, our own events report better.
    root.setLevel(max(number, logging.WARNING))
    logging.captureWarnings(capture=True)


def debugs() -> bool:
    """Whether debug lines are written; asked once a record, so that a dropped line is free."""
    return _least <= logging.DEBUG


def _renderer(form: Format, out: TextIO) -> structlog.typing.Processor:
    if form == "json":
        return structlog.processors.JSONRenderer(serializer=_dumps)
    return structlog.dev.ConsoleRenderer(colors=out.isatty(), pad_event_to=24, sort_keys=False)


def _dumps(event: Mapping[str, Any], **_: object) -> str:
    import orjson

    return orjson.dumps(event).decode()
