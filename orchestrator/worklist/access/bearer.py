"""Tokens of the hospital's identity provider (mode ``oidc``): RFC 9068, checked claim by claim."""

from collections.abc import Collection
from typing import Any, Final, Protocol

from joserfc import jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import Key
from joserfc.jws import JWSRegistry

from orchestrator.worklist.access.claims import principal_of, untimely
from orchestrator.worklist.access.keys import Keys
from orchestrator.worklist.access.roles import Principal
from orchestrator.worklist.access.tokens import LONGEST, NotAuthentic, Revocations

ALGORITHMS: Final = ("RS256", "RS384", "PS256", "ES256", "ES384", "EdDSA")
LIFETIME_MAX_S: Final = 24 * 3600
# What would let a token choose its key, or change what its signature means.
_FORBIDDEN: Final = frozenset({"jwk", "jku", "x5u", "crit", "b64"})
_RSA_BITS: Final = 2048


class _Algorithms(JWSRegistry):
    """Those of `ALGORITHMS`; joserfc has ``EdDSA`` under its name of RFC 9864 and warns of this."""

    def get_alg(self, name: str) -> Any:
        if name not in ALGORITHMS:
            raise UnsupportedAlgorithmError
        return self.algorithms["Ed25519" if name == "EdDSA" else name]


class _Guest(Protocol):
    def headers(self) -> dict[str, Any]: ...


def verified(text: str, keys: Keys, issuer: str, audience: str) -> dict[str, Any]:
    """
    The claims of a token that *issuer* has signed for *audience*, and that is good now.

    Raises:
        NotAuthentic: It is not.
        KeysDue: Its key is not known yet.
    """
    if len(text) > LONGEST:
        raise NotAuthentic("too-long")

    def key_of(guest: _Guest) -> Any:
        header = guest.headers()
        if _FORBIDDEN & header.keys():
            raise NotAuthentic("header")
        kid = header.get("kid")
        key = keys.find(kid) if isinstance(kid, str) else None
        if key is None:
            raise NotAuthentic("unknown-key")
        if not _fits(key, header.get("alg")):
            raise NotAuthentic("algorithm")
        return key

    # Header words that we do not know are to be ignored (RFC 7515, 4), unless `crit` names them.
    registry = _Algorithms(strict_check_header=False)
    try:
        read = jwt.decode(text, key_of, registry=registry)
    except (JoseError, ValueError, TypeError) as problem:
        raise NotAuthentic(type(problem).__name__) from None
    claims = read.claims
    if cause := untimely(claims, LIFETIME_MAX_S):
        raise NotAuthentic(cause)
    if claims.get("iss") != issuer:
        raise NotAuthentic("issuer")
    if audience not in _texts(claims.get("aud")):
        raise NotAuthentic("audience")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 256:
        raise NotAuthentic("claims")
    return claims


def _fits(key: Key, algorithm: Any) -> bool:
    if algorithm not in ALGORITHMS:
        return False
    said = key.get("alg")
    if said is not None and said != algorithm:
        return False
    if algorithm[:2] in ("RS", "PS"):
        number = getattr(key.raw_value, "key_size", 0)
        return key.key_type == "RSA" and number >= _RSA_BITS
    if algorithm == "EdDSA":
        return key.key_type == "OKP" and key.get("crv") == "Ed25519"
    curve = {"ES256": "P-256", "ES384": "P-384"}[algorithm]
    return key.key_type == "EC" and key.get("crv") == curve


def _texts(claim: Any) -> Collection[Any]:
    return claim if isinstance(claim, list) else (claim,)


class IssuedTokens:
    """Access tokens of one issuer."""

    def __init__(
        self, keys: Keys, issuer: str, audience: str, revoked: Revocations, *, roles: str = "roles"
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._revoked = revoked
        self._roles = roles

    def principal(self, token: str) -> Principal:
        claims = verified(token, self._keys, self._issuer, self._audience)
        jti = claims.get("jti")
        if isinstance(jti, str) and self._revoked.is_revoked(jti):
            raise NotAuthentic("revoked")
        if self._revoked.is_disabled(claims["sub"]):
            raise NotAuthentic("disabled")
        return principal_of(claims["sub"], claims, roles=self._roles, until=claims["exp"])

    def look_up(self) -> None:
        """Learn of new keys; blocks."""
        self._keys.look_up()
