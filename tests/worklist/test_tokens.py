"""Local tokens: signed by the site's own key, with every claim right, or nobody's."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey

from orchestrator.worklist import edge
from orchestrator.worklist.access.store import AccessStore
from orchestrator.worklist.access.tokens import (
    ALGORITHM,
    LIFETIME_MAX_S,
    LocalTokens,
    NotAuthentic,
    signed,
    site_signing_key,
)

AUDIENCE = "care-orchestrator"
CLAIMS = {
    "sub": "nurse-1",
    "roles": ["rn"],
    "teams": ["nurse-outreach"],
    "facilities": ["GEN"],
}


class Site:
    """A site with its key."""

    def __init__(self, folder: Path) -> None:
        self.store = AccessStore(folder)
        self.key = site_signing_key(folder)
        self.tokens = LocalTokens(self.key, AUDIENCE, self.store)

    def token(self, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A right token but for *claims*; ``None`` leaves one out."""
        now = edge.now() // 1_000_000
        whole = {
            **CLAIMS,
            "iss": "care-orchestrator",
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + 600,
            "jti": "j1",
            **claims,
        }
        said = {name: value for name, value in whole.items() if value is not None}
        text = jwt.encode({"alg": ALGORITHM}, said, self.key, algorithms=[ALGORITHM])
        if header is None:
            return text
        _, payload, signature = text.split(".")
        return f"{part(header)}.{payload}.{signature}"


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(value)).decode().rstrip("=")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.store.close()


def test_a_signed_token_is_its_holder(site: Site) -> None:
    """What `auth token` signs says who it is, in which roles, teams and facilities."""
    text, _ = signed(site.key, AUDIENCE, dict(CLAIMS), 3600)
    who = site.tokens.principal(text)

    assert (who.actor, who.roles, who.teams, who.facilities) == (
        "nurse-1",
        frozenset({"rn"}),
        frozenset({"nurse-outreach"}),
        frozenset({"GEN"}),
    )
    assert not who.part2


def test_a_token_that_was_taken_back_is_nobodys(site: Site) -> None:
    """From its next use on."""
    text, jti = signed(site.key, AUDIENCE, dict(CLAIMS), 3600)
    site.store.revoke(jti, edge.now())

    with pytest.raises(NotAuthentic, match="revoked"):
        site.tokens.principal(text)


NOW = edge.now() // 1_000_000


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": None},
        {"iss": "somebody"},
        {"aud": None},
        {"aud": "other"},
        {"aud": ["other"]},
        {"exp": None},
        {"exp": NOW - 120},
        {"exp": "9999999999"},
        {"exp": 1e20},
        {"exp": NOW + 0.5},
        {"exp": True},
        {"iat": None},
        {"iat": NOW + 100_000},
        {"iat": "now"},
        {"exp": NOW + LIFETIME_MAX_S + 1000, "iat": NOW},
        {"nbf": NOW + 100_000},
        {"nbf": "soon"},
        {"sub": None},
        {"sub": ""},
        {"sub": 5},
        {"jti": None},
        {"jti": 1},
    ],
)
def test_each_wrong_claim_makes_it_nobodys(site: Site, claims: dict[str, Any]) -> None:
    """One thing wrong is enough."""
    site.tokens.principal(site.token())
    with pytest.raises(NotAuthentic):
        site.tokens.principal(site.token(**claims))


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "None"},
        {"alg": "nOnE"},
        {"alg": "HS256"},
        {"alg": "EdDSA"},
        {},
        {"alg": ALGORITHM, "crit": ["x"], "x": 1},
        {"alg": ALGORITHM, "jwk": {"kty": "OKP"}},
        {"alg": ALGORITHM, "jku": "http://127.0.0.1/"},
        {"alg": ALGORITHM, "x5u": "http://127.0.0.1/"},
        {"alg": ALGORITHM, "kid": "../../dev/null"},
    ],
)
def test_a_header_chooses_neither_key_nor_algorithm(site: Site, header: dict[str, Any]) -> None:
    """Whatever the header asks for, the signature is checked by our key or not at all."""
    with pytest.raises(NotAuthentic):
        site.tokens.principal(site.token(header))


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "crit"])
def test_a_signed_header_that_names_a_key_is_refused_too(site: Site, name: str) -> None:
    """Even from our own key: nobody of ours writes such a token."""
    value: Any = ["exp"] if name == "crit" else {} if name == "jwk" else "http://127.0.0.1/"
    now = edge.now() // 1_000_000
    fixed = {"iss": "care-orchestrator", "aud": AUDIENCE, "iat": now, "exp": now + 60, "jti": "j"}
    signing = f"{part({'alg': ALGORITHM, name: value})}.{part({**CLAIMS, **fixed})}"
    private = site.key.private_key
    assert private is not None
    signature = private.sign(signing.encode())  # type: ignore[union-attr]
    text = f"{signing}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"

    with pytest.raises(NotAuthentic):
        site.tokens.principal(text)


def test_another_key_signs_nothing_for_us(site: Site) -> None:
    """Not another site's, not a shared secret made of our public key."""
    text, _ = signed(OKPKey.generate_key("Ed25519"), AUDIENCE, dict(CLAIMS), 600)
    public = orjson.dumps(site.key.as_dict(private=False))
    now = edge.now() // 1_000_000
    claims = {**CLAIMS, "iss": "care-orchestrator", "aud": AUDIENCE, "iat": now, "exp": now + 60}
    forged = jwt.encode({"alg": "HS256"}, {**claims, "jti": "j"}, OctKey.import_key(public))

    for one in (text, forged):
        with pytest.raises(NotAuthentic):
            site.tokens.principal(one)


@pytest.mark.parametrize(
    "text",
    ["", "x", "a.b", "a.b.c", "a.b.c.d", "..", "demo-rn", "x" * 100_000, "é.é.é", "\x00.\x00.\x00"],
)
def test_what_is_no_token_is_nobodys(site: Site, text: str) -> None:
    """Also the demo's words, and texts of any length."""
    with pytest.raises(NotAuthentic):
        site.tokens.principal(text)


def test_a_cut_signature_is_noticed(site: Site) -> None:
    """Stripped, shortened or changed."""
    head, payload, signature = site.token().split(".")
    for bad in ("", signature[:-4], "A" * len(signature)):
        with pytest.raises(NotAuthentic):
            site.tokens.principal(f"{head}.{payload}.{bad}")


@pytest.mark.parametrize("lifetime", [0, -1, LIFETIME_MAX_S + 1])
def test_a_lifetime_has_bounds(site: Site, lifetime: int) -> None:
    """At most 400 days, however long somebody asks for."""
    with pytest.raises(ValueError, match="400 days"):
        signed(site.key, AUDIENCE, dict(CLAIMS), lifetime)


def test_the_sites_key_is_made_once_and_its_owners_alone(tmp_path: Path) -> None:
    """Another process finds the same one."""
    first, second = site_signing_key(tmp_path), site_signing_key(tmp_path)

    assert first.as_dict(private=True) == second.as_dict(private=True)
    (file,) = tmp_path.glob("auth-key*")
    assert file.stat().st_mode & 0o777 == 0o600
