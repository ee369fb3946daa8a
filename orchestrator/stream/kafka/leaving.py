"""The one way out of a worker that must not go on.

Faust commits and flushes on its way out; a process whose memory may be ahead of the brokers must
do neither.  What is not committed is read again by whoever comes next.
"""

import os
import sys
from typing import Final, NoReturn

import structlog

from orchestrator.log import describe

FAILED: Final = 70  # sysexits.h, EX_SOFTWARE
STUCK: Final = 75  # EX_TEMPFAIL

logger = structlog.get_logger()


def leave(
    reason: str,
    problem: BaseException | None = None,
    code: int = FAILED,
    detail: str | None = None,
) -> NoReturn:
    """End the process at once; says why in one line."""
    if problem is not None:
        detail = describe(problem)[:200]
    more = {} if detail is None else {"detail": detail}
    logger.error("worker.exited", reason=reason, exit_code=code, **more)
    sys.stderr.flush()
    os._exit(code)
