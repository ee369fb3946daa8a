"""What can be wrong with a command and which exit code says so.

0 done, 1 the answer is no, 2 a mistake in what was asked, 3 something it needs is away
(`contract.md` §6).  A mistake is answered in words: what is wrong, where, what to do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Final

NO: Final = 1


class Fault(Exception):
    """Ends a command with a sentence on standard error and an exit code."""

    exit_code: ClassVar[int] = NO


class No(Fault):
    """The answer of a check, with its reason."""

    exit_code = NO


class Mistake(Fault):
    """What was asked cannot be done as asked: an option, a path, a setting, a file's content."""

    exit_code = 2


class Away(Fault):
    """A service or a log that the command needs is not there."""

    exit_code = 3


@contextmanager
def as_mistakes(unusable: type[Exception] | None = None) -> Iterator[None]:
    """
    A file given by the user that cannot be read, written or understood is their mistake.

    Args:
        unusable: Passed on as it is, by a caller for whom it is an answer.
    """
    from schemas.yaml_node import FileFault

    try:
        yield
    except OSError as problem:
        where = f"{problem.filename}: " if problem.filename is not None else ""
        raise Mistake(f"{where}{problem.strerror or type(problem).__name__}") from problem
    except FileFault as problem:
        if unusable is not None and isinstance(problem, unusable):
            raise
        raise Mistake(str(problem)) from problem
