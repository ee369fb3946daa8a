"""Makes the empty files that SQLite then fills, so that only their owner may read them.

A file that is there already is not so much as opened: on POSIX a process that closes *any* of its
descriptors of a file loses all its locks on it.  SQLite would go on without its own, the next
process to leave would take itself for the last one and delete the write-ahead log, and everything
written afterwards would go into a file that has no name any more.
"""

import os
import threading
from pathlib import Path

MODE = 0o600  # SQLite gives its -wal and -shm files the mode of the main one


def make(path: Path) -> None:
    """
    Make *path*, empty, unless there is something; two processes or threads may do so at once.

    Raises:
        OSError: The folder is missing, or refuses.
    """
    if path.exists():
        return
    draft = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}")
    os.close(os.open(draft, os.O_RDWR | os.O_CREAT, MODE))
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
