"""Sessions of people at pages: an opaque word in a cookie, everything else kept here.

The file holds a keyed digest of the word, so whoever reads the file cannot use it.  A session is
new at every sign-in, ends after a while without use and after a working day in any case, and is
over at once when its person is disabled, signs out, or the site's way of signing in changes.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import orjson

from orchestrator.worklist import edge
from orchestrator.worklist.access.roles import Principal
from orchestrator.worklist.access.store import AccessStore, SessionRow

IDLE: Final = timedelta(minutes=15)
LONGEST: Final = timedelta(hours=10)
# How much later than a use the file may learn of it: a write per request would be felt.
LATE: Final = 5_000_000

# Whom a session of *actor*, opened with *claims*, stands for now; ``None``: nobody any more.
Standing = Callable[[str, Mapping[str, Any]], Principal | None]


@dataclass(frozen=True, slots=True)
class Session:
    """
    Somebody signed in.

    Attributes:
        word: What the cookie holds.
        idle_ends: When it ends if nothing is done, in microseconds since 1970.
        ends: When it ends whatever is done.
    """

    who: Principal
    word: str
    idle_ends: int
    ends: int

    @property
    def owner(self) -> str:
        """Under whom drafts and saved views are kept."""
        return self.who.actor

    def ends_in_s(self) -> int:
        """Whole seconds left without doing anything."""
        return max(0, (min(self.idle_ends, self.ends) - edge.now()) // 1_000_000)


class Sessions:
    """All sessions of one worklist."""

    def __init__(
        self,
        store: AccessStore,
        secret: bytes,
        mode: str,
        standing: Standing,
        *,
        idle: timedelta = IDLE,
        longest: timedelta = LONGEST,
    ) -> None:
        self._store = store
        self._secret = secret
        self._mode = mode
        self._standing = standing
        self.idle, self.longest = idle, longest
        self._idle_us = idle // timedelta(microseconds=1)
        self._longest_us = longest // timedelta(microseconds=1)
        # Last uses that the file may not know of yet.
        self._seen: dict[bytes, int] = {}

    def open(self, actor: str, claims: Mapping[str, Any]) -> str:
        """A new session; what its cookie is to hold."""
        now = edge.now()
        self._store.forget_sessions(now - 2 * self._longest_us)
        word = edge.secret()
        row = SessionRow(self._mode, actor, orjson.dumps(dict(claims)).decode(), now, now)
        self._store.open_session(self._digest(word), row)
        return word

    def find(self, word: str | None, *, touch: bool = True) -> Session | None:
        """
        The session of a cookie; ``None``: there is none, or it is over.

        Args:
            touch: Whether this is a use; what a page asks by itself is none.
        """
        if word is None:
            return None
        digest = self._digest(word)
        row = self._store.session(digest)
        if row is None or row.mode != self._mode:
            return None
        now, seen = edge.now(), self._seen_at(digest, row)
        if self._ran_out(row, seen, now) is not None:
            self._seen.pop(digest, None)
            return None
        who = self._standing(row.actor, orjson.loads(row.claims))
        if who is None or self._store.is_disabled(row.actor):
            self._store.end_session(digest)
            return None
        if touch:
            self._seen[digest] = seen = now
            if now - row.seen > LATE:
                self._store.touch_session(digest, now)
        return Session(who, word, seen + self._idle_us, row.opened + self._longest_us)

    def has_run_out(self, word: str | None) -> timedelta | None:
        """After how long a session ended by itself; ``None``: it did not, or there was none."""
        if word is None:
            return None
        digest = self._digest(word)
        row = self._store.session(digest)
        return None if row is None else self._ran_out(row, self._seen_at(digest, row), edge.now())

    def whose(self, word: str) -> str | None:
        """Who was signed in until the session ended by itself; ``None``: it did not."""
        row = self._store.session(self._digest(word))
        if row is None or row.mode != self._mode or self.has_run_out(word) is None:
            return None
        return None if self._store.is_disabled(row.actor) else row.actor

    def _seen_at(self, digest: bytes, row: SessionRow) -> int:
        return max(row.seen, self._seen.get(digest, 0))

    def _ran_out(self, row: SessionRow, seen: int, now: int) -> timedelta | None:
        if now >= row.opened + self._longest_us:
            return self.longest
        return self.idle if now >= seen + self._idle_us else None

    def end(self, word: str | None) -> None:
        """Sign out."""
        if word is not None:
            digest = self._digest(word)
            self._seen.pop(digest, None)
            self._store.end_session(digest)

    def form_token(self, word: str) -> str:
        """
        What a form of the session of *word* must bring.

        Another text each time, as pages are compressed: a token that never changed could be
        guessed from their lengths (BREACH).
        """
        right = self._mac(b"form", word)
        pad = edge.pad(len(right))
        return base64.urlsafe_b64encode(pad + _xor(pad, right)).decode()

    def is_form_token(self, word: str, token: str) -> bool:
        """Whether a form came from a page of this session."""
        try:
            whole = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
        except ValueError:
            return False
        right = self._mac(b"form", word)
        if len(whole) != 2 * len(right):
            return False
        return hmac.compare_digest(_xor(whole[: len(right)], whole[len(right) :]), right)

    def _digest(self, word: str) -> bytes:
        return self._mac(b"session", word)

    def _mac(self, use: bytes, word: str) -> bytes:
        return hmac.digest(self._secret, use + b"\0" + word.encode(), hashlib.sha256)


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
