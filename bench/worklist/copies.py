"""Many times what one log has published, under other names: a million changes for nothing.

    python -m bench.worklist.copies SOURCE TARGET TIMES

Only what the read model follows; every identifier, patient key and id is another one in each copy,
so a projection has as much to do as with as many patients.
"""

import re
import sys
from itertools import product
from pathlib import Path
from typing import Final

from orchestrator.stream.sqlite_log import Log
from orchestrator.worklist.log.feed import FOLLOWED

# Ids are UUIDs, keys 32 hexadecimal digits: the first digit becomes another one.
_NAME: Final = re.compile(
    rb"\b([0-9a-f])((?:[0-9a-f]{7}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})|[0-9a-f]{31})\b"
)
_NUMBER: Final = re.compile(rb"MRN|-discharge\.recorded|-admission\.opened|-patient\.updated")
AT_ONCE: Final = 10_000


def copy(source: Path, target: Path, times: int) -> int:
    """Write *times* copies of what *source* holds; how many records."""
    count = 0
    with Log.open(source) as old, _made(target, old.partitions) as new:
        for topic in FOLLOWED:
            for partition, end in enumerate(old.end_offsets(topic)):
                at = 0
                while at < end and (records := old.read(topic, partition, at, AT_ONCE)):
                    at = records[-1].offset + 1
                    count += times * len(records)
                    with new.transaction() as transaction:
                        for one, number in product(records, range(times)):
                            value = None if one.value is None else _renamed(one.value, number)
                            key = _key(one.key, number)
                            transaction.append(topic, key, value, one.headers, partition)
    return count


def _made(folder: Path, partitions: int) -> Log:
    return Log.open(folder, create=True, partitions=partitions)


def _key(key: str | None, number: int) -> str | None:
    return None if key is None else _renamed(key.encode(), number).decode()


def _renamed(text: bytes, number: int) -> bytes:
    if not number:
        return text
    named = _NAME.sub(lambda m: b"%x" % ((int(m[1], 16) + number) % 16) + m[2], text)
    return _NUMBER.sub(lambda m: m[0] + b"-%d-" % number, named)


if __name__ == "__main__":
    made = copy(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
    sys.stdout.write(f"{made:,} records\n")
