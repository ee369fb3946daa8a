"""Wrong sign-ins: five for one account from one address, then a quarter of an hour of rest."""

from collections import OrderedDict
from typing import Final

from orchestrator.worklist import edge

MOST: Final = 5
WITHIN_S: Final = 15 * 60.0
PAIRS: Final = 50_000


class Guesses:
    """When each account was last guessed at from each address; the oldest are forgotten."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[tuple[str, str], list[float]] = OrderedDict()

    def wait_s(self, account: str, address: str) -> int:
        """Seconds until another try is taken; 0: now."""
        now = edge.elapsed()
        recent = [at for at in self._wrong.get((account, address), []) if at > now - WITHIN_S]
        return 0 if len(recent) < MOST else int(recent[-MOST] + WITHIN_S - now) + 1

    def wrong(self, account: str, address: str) -> None:
        """One more; counted before the password is looked at, so that many at once are too."""
        pair = (account, address)
        self._wrong[pair] = [*self._wrong.get(pair, [])[-MOST + 1 :], edge.elapsed()]
        self._wrong.move_to_end(pair)
        while len(self._wrong) > PAIRS:
            self._wrong.popitem(last=False)

    def right(self, account: str, address: str) -> None:
        """Whoever knows the password starts anew."""
        self._wrong.pop((account, address), None)
