"""What is said of who is whom, one statement each; and the names of visits that were moved."""

from typing import Final, Literal, NamedTuple

What = Literal["merge", "unmerge", "detach", "link", "move", "move-account", "pair", "account"]
# What tells more of a visit's numbers than of who is whom: said again by every message, heard one
# hop later than the rest.
NUMBERS: Final = ("pair", "account")
# Between the identifier and the visit in the name of a moved visit; no identifier holds it.
_MOVED: Final = "\x1e"


class Mark(NamedTuple):
    """One thing said of two identifiers; marks are taken in the order of the first five fields."""

    time: int
    recorded: int
    source: str
    event: str
    number: int  # of the marks of one event
    what: What
    survivor: str  # of a move the right patient; of a link the identifier that said it
    other: str  # retired, of a move the wrong patient, of a link the other identifier
    facility: str = ""  # of a moved visit
    visit: str = ""  # its number; where an account is moved, that account's
    receipt: int = 0
    beside: str = ""  # of a pair the visit's number before, of an account the account's

    def names(self) -> tuple[str, str]:
        """The two identifiers."""
        return self.survivor, self.other


def moved_visit(subject: str, facility: str, visit: str) -> str:
    """The name of what *subject* was told of a visit, where the visit belongs to somebody else."""
    return _MOVED.join((subject, facility, visit))


def origin_of(member: str) -> str:
    """The identifier under which a member's facts come."""
    return member.partition(_MOVED)[0]


def visit_of(member: str) -> tuple[str, str] | None:
    """Facility and number of a moved visit; None for an identifier."""
    parts = member.split(_MOVED)
    return (parts[1], parts[2]) if len(parts) == 3 else None
