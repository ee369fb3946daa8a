"""Hostile tokens of an issuer: the right key, the right claims, one thing wrong."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from joserfc import jwt
from joserfc.jwk import Key, OctKey, RSAKey

from orchestrator.worklist import edge
from orchestrator.worklist.access import keys as keys_module
from orchestrator.worklist.access.bearer import ALGORITHMS, LIFETIME_MAX_S, IssuedTokens
from orchestrator.worklist.access.keys import Keys, KeysAway, KeysDue, fetched
from orchestrator.worklist.access.roles import Principal
from orchestrator.worklist.access.store import AccessStore
from orchestrator.worklist.access.tokens import NotAuthentic
from tests.worklist.issuer import AUDIENCE, CLAIMS, made_key

ISSUER: Final = "https://id.hospital.example"
NOW: Final = edge.now() // 1_000_000
FAR: Final = 100_000  # seconds; a run of all tests takes its time


class Door:
    """Tokens of an issuer whose keys stand in a file."""

    def __init__(self, folder: Path) -> None:
        self.store = AccessStore(folder)
        self.keys = {name: made_key(name, f"k-{name}") for name in ALGORITHMS}
        self.place = folder / "jwks.json"
        self.publish(*self.keys.values())
        self.known = Keys(lambda: str(self.place))
        self.tokens = IssuedTokens(self.known, ISSUER, AUDIENCE, self.store)
        self.known.look_up()

    def publish(self, *keys: Key, more: tuple[dict[str, Any], ...] = ()) -> None:
        told = {"keys": [*(key.as_dict(private=False) for key in keys), *more]}
        self.place.write_bytes(orjson.dumps(told))

    def token(
        self,
        algorithm: str = "ES256",
        header: dict[str, Any] | None = None,
        key: Key | None = None,
        **claims: Any,
    ) -> str:
        """A right token but for what is said; ``None`` leaves a claim out."""
        now = edge.now() // 1_000_000
        whole = {**CLAIMS, "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 600, **claims}
        plain = {name: value for name, value in whole.items() if value is not None}
        used = key or self.keys[algorithm]
        signing = "Ed25519" if algorithm == "EdDSA" else algorithm
        said = {"alg": signing, "kid": used.kid, **(header or {})}
        if signing == algorithm:
            names = {name: value for name, value in said.items() if value is not None}
            return jwt.encode(names, plain, used, algorithms=[algorithm])
        return signed_as({**said, "alg": algorithm}, plain, used)

    def principal(self, token: str) -> Principal:
        return self.tokens.principal(token)


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else orjson.dumps(value)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def signed_as(header: dict[str, Any], claims: dict[str, Any], key: Key) -> str:
    """A JWS with any header, whatever a library thinks of it."""
    signing = f"{part(header)}.{part(claims)}"
    private: Any = key.private_key
    return f"{signing}.{part(private.sign(signing.encode()))}"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    made = Door(tmp_path)
    yield made
    made.store.close()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_of_the_list_is_taken(door: Door, algorithm: str) -> None:
    """RS256 RS384 PS256 ES256 ES384 EdDSA."""
    assert door.principal(door.token(algorithm)).actor == "u-1"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": None},
        {"iss": "https://id.hospital.example/"},
        {"aud": None},
        {"aud": "other"},
        {"aud": ["other"]},
        {"aud": {}},
        {"exp": None},
        {"exp": NOW - 120},
        {"exp": str(NOW + 600)},
        {"exp": 1e20},
        {"exp": NOW + 0.5},
        {"exp": True},
        {"iat": None},
        {"iat": NOW + FAR},
        {"iat": "now"},
        {"exp": NOW + LIFETIME_MAX_S + FAR},
        {"nbf": NOW + FAR},
        {"nbf": "soon"},
        {"sub": None},
        {"sub": ""},
        {"sub": 5},
        {"sub": "x" * 300},
    ],
)
def test_each_wrong_claim_makes_it_nobodys(door: Door, claims: dict[str, Any]) -> None:
    """One thing wrong is enough."""
    door.principal(door.token())
    with pytest.raises(NotAuthentic):
        door.principal(door.token(**claims))


def test_what_is_right_stays_right(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several audiences, and clocks a minute apart."""
    now = edge.now()
    monkeypatch.setattr(edge, "now", lambda: now)
    seconds = now // 1_000_000
    for claims in ({"aud": ["other", AUDIENCE]}, {"exp": seconds - 59}, {"nbf": seconds + 60}):
        assert door.principal(door.token(**claims)).actor == "u-1"
    with pytest.raises(NotAuthentic, match="expired"):
        door.principal(door.token(exp=seconds - 60))


@pytest.mark.parametrize(
    "header",
    [
        {"kid": None},
        {"kid": "k-unknown"},
        {"kid": "../../dev/null"},
        {"kid": "' OR 1=1 --"},
        {"kid": "https://evil.example/jwks"},
        {"kid": 5},
        {"kid": "k-RS256"},  # another key than it was signed with
        {"jwk": {"kty": "EC"}},
        {"jku": "https://evil.example/jwks"},
        {"x5u": "https://evil.example/cert"},
        {"crit": ["exp"], "exp": 1},
        {"crit": ["b64"], "b64": False},
        {"alg": "none"},
        {"alg": "None"},
        {"alg": "nOnE"},
        {"alg": "HS256"},
        {"alg": "RS512"},
        {"alg": "ES512"},
        {"alg": None},
        {"alg": 5},
    ],
)
def test_a_header_chooses_neither_key_nor_algorithm(door: Door, header: dict[str, Any]) -> None:
    """Signed by the right key all the same: nobody's."""
    key = door.keys["EdDSA"]
    said = {"alg": "EdDSA", "kid": key.kid, **header}
    now = edge.now() // 1_000_000
    claims = {**CLAIMS, "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 600}
    names = {name: value for name, value in said.items() if value is not None}
    with pytest.raises(NotAuthentic):
        door.principal(signed_as(names, claims, key))


def test_a_header_that_is_not_known_is_ignored(door: Door) -> None:
    """RFC 7515: unless `crit` names it."""
    key = door.keys["EdDSA"]
    now = edge.now() // 1_000_000
    claims = {**CLAIMS, "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 600}
    said = {"alg": "EdDSA", "kid": key.kid, "typ": "at+jwt", "nonce": "x", "x5t": "y"}

    assert door.principal(signed_as(said, claims, key)).actor == "u-1"


def test_the_public_key_is_no_shared_secret(door: Door) -> None:
    """HS256 with the RSA public key, as PEM or JSON, is nobody's."""
    public = door.keys["RS256"]
    assert isinstance(public, RSAKey)
    now = edge.now() // 1_000_000
    claims = {**CLAIMS, "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 600}
    secrets = [public.as_pem(private=False), orjson.dumps(public.as_dict(private=False))]
    for secret in secrets:
        signing = f"{part({'alg': 'HS256', 'kid': public.kid})}.{part(claims)}"
        import hashlib
        import hmac

        forged = f"{signing}.{part(hmac.digest(secret, signing.encode(), hashlib.sha256))}"
        with pytest.raises(NotAuthentic):
            door.principal(forged)


def test_a_key_signs_with_its_own_algorithm_alone(door: Door) -> None:
    """An RSA key that is published for RS256 is not one for PS256."""
    key = RSAKey.generate_key(2048, {"kid": "r", "use": "sig", "alg": "RS256"})
    door.publish(key)
    fresh = Keys(lambda: str(door.place))
    tokens = IssuedTokens(fresh, ISSUER, AUDIENCE, door.store)
    fresh.look_up()

    plain = {n: v for n, v in key.as_dict(private=True).items() if n not in ("alg", "use")}
    signing = RSAKey.import_key(plain)

    assert tokens.principal(door.token("RS256", key=key)).actor == "u-1"
    with pytest.raises(NotAuthentic):
        tokens.principal(door.token("PS256", key=signing))


def test_an_issuer_may_say_eddsa_of_its_key(door: Door) -> None:
    """The old name in the key set is the same algorithm."""
    key = door.keys["EdDSA"]
    door.publish(more=(key.as_dict(private=False) | {"alg": "EdDSA"},))
    fresh = Keys(lambda: str(door.place))
    fresh.look_up()

    assert (
        IssuedTokens(fresh, ISSUER, AUDIENCE, door.store).principal(door.token("EdDSA")).actor
        == "u-1"
    )


def test_keys_that_must_not_sign_are_nobodys(door: Door) -> None:
    """A shared secret in the set, one for encryption, a short one, one without a name."""
    secret = OctKey.generate_key(256, {"kid": "oct", "use": "sig"})
    encrypting = made_key("ES256", "enc").as_dict(private=False) | {"use": "enc"}
    nameless = made_key("ES256", "x").as_dict(private=False)
    del nameless["kid"]
    broken = {"kty": "EC", "kid": "broken", "crv": "P-256", "x": "!", "y": "!"}
    door.publish(
        door.keys["ES256"],
        more=(secret.as_dict(private=True), encrypting, nameless, broken, {"kid": 1}),
    )
    fresh = Keys(lambda: str(door.place))
    fresh.look_up()

    assert fresh.find("k-ES256") is not None
    assert [fresh.find(name) for name in ("oct", "enc", "x", "broken")] == [None] * 4


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "a.b",
        "a.b.c",
        "..",
        "a.b.c.d.e",
        "demo-rn",
        "x" * 100_000,
        "é.é.é",
        "\x00.\x00.\x00",
    ],
)
def test_what_is_no_token_is_nobodys(door: Door, text: str) -> None:
    """Also the demo's words, and texts of any length."""
    with pytest.raises(NotAuthentic):
        door.principal(text)


def test_a_long_token_is_not_even_read(door: Door) -> None:
    """8 KiB are enough for any list of roles."""
    with pytest.raises(NotAuthentic, match="too-long"):
        door.principal(door.token(more="x" * 9_000))


def test_a_nested_token_is_none(door: Door) -> None:
    """A token in a token is not unpacked."""
    key = door.keys["EdDSA"]
    inner = door.token()
    signing = f"{part({'alg': 'EdDSA', 'kid': key.kid, 'cty': 'JWT'})}.{part(inner.encode())}"
    private: Any = key.private_key
    with pytest.raises(NotAuthentic):
        door.principal(f"{signing}.{part(private.sign(signing.encode()))}")


def test_a_cut_signature_is_noticed(door: Door) -> None:
    """Stripped, shortened or changed."""
    head, payload, signature = door.token().split(".")
    for bad in ("", signature[:-4], "A" * len(signature)):
        with pytest.raises(NotAuthentic):
            door.principal(f"{head}.{payload}.{bad}")


def test_who_was_taken_out_here_is_out_with_any_token(door: Door) -> None:
    """A token by its id, a person by their name."""
    taken = door.token(jti="j-1")
    door.principal(taken)
    door.store.revoke("j-1", edge.now())
    with pytest.raises(NotAuthentic, match="revoked"):
        door.principal(taken)
    door.store.disable("u-1", edge.now())
    with pytest.raises(NotAuthentic, match="disabled"):
        door.principal(door.token())


def test_scopes_narrow_and_never_widen(door: Door) -> None:
    """SMART v2: `system/Task.rs` of a supervisor leaves reading tasks; an rn gets no export."""
    narrow = door.principal(door.token(roles=["supervisor"], scope="system/Task.rs openid"))
    wide = door.principal(door.token(roles=["rn"], scope="system/*.cruds"))
    none = door.principal(door.token(roles=["supervisor"], scope="openid profile"))

    assert {"tasks", "self"} <= narrow.may
    assert not {"act", "bulk", "patients", "gaps", "break-glass", "policy"} & narrow.may
    assert not {"export", "bulk", "act-for-others"} & wide.may
    assert {"act", "bulk", "export"} <= none.may


def test_unknown_keys_ask_the_issuer_once_a_minute(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many tokens name a key that is not there."""
    at = edge.elapsed()
    monkeypatch.setattr(edge, "elapsed", lambda: at)
    door.known.look_up()
    asked = 0
    real = keys_module.fetched

    def counted(place: str) -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return real(place)

    monkeypatch.setattr(keys_module, "fetched", counted)
    forged = door.token(header={"kid": "k-new"})
    for _ in range(100):
        at += 1.0
        try:
            door.principal(forged)
        except KeysDue:
            door.known.look_up()
        except NotAuthentic:
            continue

    assert 1 <= asked <= 2


def test_an_issuer_that_is_away_signs_nobody_out(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys that are known stay known until the issuer answers again; new ones wait."""
    text = door.token(exp=NOW + 20_000)
    door.place.unlink()
    later = edge.elapsed() + 3600
    monkeypatch.setattr(edge, "elapsed", lambda: later)
    with pytest.raises(KeysDue):
        door.principal(text)
    door.known.look_up()

    assert door.principal(text).actor == "u-1"


def test_a_key_that_the_issuer_takes_back_is_gone_in_time(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten minutes after it has left the key set at the latest."""
    text = door.token(exp=NOW + 20_000)
    door.publish(door.keys["RS256"])
    later = edge.elapsed() + 601
    monkeypatch.setattr(edge, "elapsed", lambda: later)
    with pytest.raises(KeysDue):
        door.principal(text)
    door.known.look_up()

    with pytest.raises(NotAuthentic, match="unknown-key"):
        door.principal(text)


@pytest.mark.parametrize(
    "place",
    [
        "http://evil.example/jwks",
        "file:///etc/passwd",
        "ftp://127.0.0.1/jwks",
        "data://x",
        "/nowhere/jwks.json",
        "https://[",
    ],
)
def test_keys_come_over_tls_or_from_a_file(place: str) -> None:
    """Nobody on the way can answer in the issuer's place; another scheme is not followed."""
    with pytest.raises(KeysAway):
        fetched(place)


def test_a_principal_ends_with_its_token(door: Door) -> None:
    """Live streams end then, too."""
    ends = NOW + 20_000

    assert door.principal(door.token(exp=ends)).until == ends
