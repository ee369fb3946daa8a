"""Bearer tokens: signed by our own key (``local``), or one of the demo's words.

Only algorithms with a key pair are accepted, whatever a token's header says, and keys are ours
alone: a token that brings its own key or asks for something we do not know is nobody's.
"""

import os
from pathlib import Path
from typing import Any, Final, Protocol

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from orchestrator.worklist import edge
from orchestrator.worklist.access.claims import principal_of, untimely
from orchestrator.worklist.access.demo import demo_principal
from orchestrator.worklist.access.roles import Principal

ISSUER: Final = "care-orchestrator"
KEY_FILE: Final = "auth-key.json"
# EdDSA over Ed25519, under the name that RFC 9864 gives it in place of the ambiguous ``EdDSA``.
ALGORITHM: Final = "Ed25519"
LONGEST: Final = 8 * 1024
# How long a local token may live: 400 days.
LIFETIME_MAX_S: Final = 400 * 24 * 3600

# What would let the token choose the key, or change what its signature means.
_FORBIDDEN_HEADERS: Final = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64"})


class NotAuthentic(Exception):
    """The token is nobody's; *cause* is for the metric, the caller learns nothing."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class Authenticator(Protocol):
    """Who a bearer token stands for."""

    def principal(self, token: str) -> Principal:
        """
        Raises:
            NotAuthentic: Nobody.
            KeysDue: `look_up`, off the event loop, then ask again.
        """
        ...

    def look_up(self) -> None:
        """Learn of keys that are new; blocks."""
        ...


class DemoTokens:
    """The demo's words; real tokens are refused."""

    def principal(self, token: str) -> Principal:
        found = demo_principal(token)
        if found is None:
            raise NotAuthentic("unknown-token")
        return found

    def look_up(self) -> None:
        """Words have no keys."""


class Revocations(Protocol):
    """Which tokens were taken back, and whose count no more."""

    def is_revoked(self, jti: str) -> bool: ...

    def is_disabled(self, actor: str) -> bool: ...


class LocalTokens:
    """Tokens that ``auth token`` has signed with the site's own key."""

    def __init__(self, key: OKPKey, audience: str, revoked: Revocations) -> None:
        self._key = key
        self._audience = audience
        self._revoked = revoked

    def principal(self, token: str) -> Principal:
        if len(token) > LONGEST:
            raise NotAuthentic("too-long")
        try:
            read = jwt.decode(token, self._key, algorithms=[ALGORITHM])
        except (JoseError, ValueError) as problem:
            raise NotAuthentic(type(problem).__name__) from None
        if _FORBIDDEN_HEADERS & read.header.keys():
            raise NotAuthentic("header")
        claims = read.claims
        if cause := untimely(claims, LIFETIME_MAX_S):
            raise NotAuthentic(cause)
        if claims.get("iss") != ISSUER or claims.get("aud") != self._audience:
            raise NotAuthentic("issuer")
        jti, subject = claims.get("jti"), claims.get("sub")
        if not isinstance(jti, str) or not isinstance(subject, str) or not subject:
            raise NotAuthentic("claims")
        if self._revoked.is_revoked(jti):
            raise NotAuthentic("revoked")
        if self._revoked.is_disabled(subject):
            raise NotAuthentic("disabled")
        return principal_of(subject, claims, until=claims["exp"])

    def look_up(self) -> None:
        """The one key is ours."""


def signed(key: OKPKey, audience: str, claims: dict[str, Any], lifetime_s: int) -> tuple[str, str]:
    """
    A token of *claims*, good for *lifetime_s*; with its id, by which it can be taken back.
    """
    if not 0 < lifetime_s <= LIFETIME_MAX_S:
        raise ValueError("a token lives at least a second and at most 400 days")
    now, jti = edge.now() // 1_000_000, edge.new_id()
    fixed = {"iss": ISSUER, "aud": audience, "iat": now, "exp": now + lifetime_s, "jti": jti}
    header = {"alg": ALGORITHM, "typ": "at+jwt"}
    return jwt.encode(header, {**claims, **fixed}, key, algorithms=[ALGORITHM]), jti


def site_signing_key(folder: Path) -> OKPKey:
    """The key of this site, made at the first use, readable by its owner alone."""
    path = folder / KEY_FILE
    if not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = orjson.dumps(OKPKey.generate_key("Ed25519").as_dict(private=True)).decode()
        # Whole under another name, then linked: two that start at once agree on one key.
        draft = path.with_name(f"{KEY_FILE}.{os.getpid()}")
        draft.touch(mode=0o600)
        try:
            draft.write_text(text, encoding="ascii")
            path.hardlink_to(draft)
        except FileExistsError:
            pass
        finally:
            draft.unlink(missing_ok=True)
    return OKPKey.import_key(orjson.loads(path.read_bytes()))
