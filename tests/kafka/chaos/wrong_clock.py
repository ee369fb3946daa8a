"""A time of day that jumps under one process, by libfaketime; its monotonic clock does not."""

import importlib.util
from pathlib import Path
from types import TracebackType
from typing import Final, Self

LIBRARY: Final = Path("vendor/libfaketime/src/libfaketime.so.1")


class WrongClock:
    """The clock of every process that is started with its `environment`."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "time-of-day"

    def __enter__(self) -> Self:
        self.jump("+0")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.unlink()

    @property
    def environment(self) -> dict[str, str]:
        """What makes a process see it."""
        return {
            "LD_PRELOAD": str(_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            # asyncio and the product's guard look at it; the machine's real pace stays.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, offset: str) -> None:
        """Show a time that is *offset* from the true one from the next second on."""
        fresh = self._file.with_suffix(".next")
        fresh.write_text(offset + "\n", encoding="ascii")
        fresh.replace(self._file)  # at once: libfaketime reads the file at any time


def _library() -> Path:
    found = importlib.util.find_spec("libfaketime")
    assert found is not None, "libfaketime is not installed (make lock)"
    assert found.origin is not None
    return Path(found.origin).parent / LIBRARY
