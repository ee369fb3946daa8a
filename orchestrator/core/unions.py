"""Which identifiers are one: every join that was said and not taken back, and what a parting takes.

A join that joins nothing at its time is kept: it is what still holds two records together when the
way on which they were joined first turns out to be wrong.
"""

from collections import deque

from orchestrator.core.marks import Mark


class Unions:
    """The joins that hold, in the order in which they count."""

    def __init__(self) -> None:
        self.joins: list[Mark] = []
        self._said: set[tuple[str, str, str]] = set()
        self._at: dict[str, str] = {}  # by identifier the one whose name the group has

    def root(self, name: str) -> str:
        """The identifier whose name the group of *name* has."""
        return self._at.get(name, name)

    def are_one(self, mark: Mark) -> bool:
        """Whether both identifiers of *mark* are one already."""
        return self.root(mark.survivor) == self.root(mark.other)

    def join(self, mark: Mark) -> None:
        """Both identifiers are one from here on, whatever else holds them together."""
        said = (mark.what, *mark.names())
        if said not in self._said:
            self._said.add(said)
            self.joins.append(mark)
            _join(self._at, mark)

    def is_inverse(self, mark: Mark) -> bool:
        """Whether it retires who survives, in a group that is one already."""
        if mark.other == self.root(mark.other):
            return True
        turned = (mark.other, mark.survivor)
        return any((what, *turned) in self._said for what in ("merge", "link"))

    def take_back(self, mark: Mark) -> bool:
        """Take back what was said of just these two; whether there was anything."""
        pair = frozenset(mark.names())
        return self._drop([one for one in self.joins if frozenset(one.names()) == pair])

    def part(self, mark: Mark) -> list[Mark]:
        """
        Take back what else holds these two together: on the way from the one to the other.

        An un-merge names the number that survives, and of a link neither: a link goes first, then
        a join that joined nothing new, then the one next to who was named as the other.  An
        identifier that is moved leaves alone, so always the one next to it.
        """
        gone: list[Mark] = []
        while self.are_one(mark):
            way = self._way(mark.other, mark.survivor)
            if mark.what == "detach":
                weakest = way[0]
            else:
                idle = self._idle()
                weakest = min(way, key=lambda one: (one.what != "link", one not in idle))
            self._drop([weakest])
            gone.append(weakest)
        return gone

    def _drop(self, gone: list[Mark]) -> bool:
        if gone:
            self.joins = [one for one in self.joins if one not in gone]
            self._said = {(one.what, *one.names()) for one in self.joins}
            self._at = {}
            for one in self.joins:
                _join(self._at, one)
        return bool(gone)

    def _idle(self) -> list[Mark]:
        """Those that joined nothing new when they came."""
        at: dict[str, str] = {}
        return [one for one in self.joins if not _join(at, one)]

    def _way(self, start: str, end: str) -> list[Mark]:
        """The joins on the shortest way, from *start* on."""
        beside: dict[str, list[Mark]] = {}
        for one in self.joins:
            for name in one.names():
                beside.setdefault(name, []).append(one)
        came: dict[str, tuple[str, Mark] | None] = {start: None}
        todo = deque([start])
        while end not in came:
            name = todo.popleft()
            for one in beside.get(name, ()):
                for other in one.names():
                    if other not in came:
                        came[other] = (name, one)
                        todo.append(other)
        way = []
        name = end
        while (step := came[name]) is not None:
            name = step[0]
            way.append(step[1])
        return way[::-1]


def _join(at: dict[str, str], mark: Mark) -> bool:
    """Let the survivor's group have both; whether they were two."""
    survivor, other = mark.names()
    one, two = at.get(survivor, survivor), at.get(other, other)
    if one == two:
        return False
    winner, loser = one, two
    # A number that nobody had yet is no patient's name; else who had it first keeps the name.
    if mark.what == "link" and (two != other or other in at.values()):
        winner, loser = two, one
    at.setdefault(winner, winner)
    at.setdefault(loser, loser)
    for name, home in at.items():
        if home == loser:
            at[name] = winner
    return True
