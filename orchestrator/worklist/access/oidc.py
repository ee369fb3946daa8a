"""Sign-in at the hospital's identity provider: OpenID Connect, code flow with PKCE.

The browser that comes back must be the one that left (its visitor cookie), with the state that it
was given, once, and within ten minutes; the ID token must be for us and name the nonce.
"""

import hmac
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from orchestrator.worklist import edge
from orchestrator.worklist.access.bearer import verified
from orchestrator.worklist.access.keys import Keys, KeysAway, KeysDue, fetched, is_safe
from orchestrator.worklist.access.tokens import NotAuthentic

SCOPE: Final = "openid"
WELL_KNOWN: Final = "/.well-known/openid-configuration"
METADATA_S: Final = 3600.0
LEFT_S: Final = 600.0
LEFT_MOST: Final = 10_000
ANSWER_S: Final = 10.0
# Of the ID token, what a session keeps: who somebody is here, and nothing else about them.
KEPT: Final = ("teams", "facilities", "view", "part2")


@cache
def _oauth() -> Any:
    """authlib's client, which is an extra: sites without this way of signing in need it not."""
    import authlib.deprecate  # noqa: F401 - it turns its own warnings on, so before they are off

    with warnings.catch_warnings():
        # It says at its import that it will want another HTTP client one day.
        warnings.simplefilter("ignore")
        from authlib.integrations.httpx_client import OAuth2Client

    return OAuth2Client


class NotSignedIn(Exception):
    """The provider did not say who it is; *cause* is for the metric."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class _Left(NamedTuple):
    """Somebody on their way to the provider and back."""

    visitor: str
    nonce: str
    verifier: str
    next: str | None
    at: float


class Provider:
    """
    One issuer, and we as its client.

    Args:
        jwks: Where its keys are; ``None``: as its discovery document says.
        roles: The claim with the roles.
    """

    def __init__(
        self,
        issuer: str,
        client_id: str | None,
        client_secret: str | None = None,
        *,
        jwks: str | None = None,
        roles: str = "roles",
    ) -> None:
        self.issuer = issuer
        self.client_id = client_id
        self._secret = client_secret
        self.roles = roles
        self._metadata: tuple[float, dict[str, Any]] | None = None
        self._left: OrderedDict[str, _Left] = OrderedDict()
        self.keys = Keys(lambda: jwks or str(self.metadata().get("jwks_uri", "")))

    def metadata(self) -> dict[str, Any]:
        """
        The discovery document; blocks when it is an hour old.

        Raises:
            KeysAway: It cannot be had, or is another issuer's.
        """
        now = edge.elapsed()
        if self._metadata is None or now - self._metadata[0] > METADATA_S:
            found = fetched(self.issuer.rstrip("/") + WELL_KNOWN)
            if found.get("issuer") != self.issuer:
                raise KeysAway("issuer")
            self._metadata = (now, found)
        return self._metadata[1]

    def known(self) -> Mapping[str, Any]:
        """The same, if it has been had; asks nobody."""
        return {} if self._metadata is None else self._metadata[1]

    def forget(self) -> None:
        """Read the discovery document anew at the next need."""
        self._metadata = None

    def leave(self, visitor: str, home: str, path: str | None) -> str:
        """
        Where to send the browser of *visitor*; blocks.

        Args:
            home: Where the provider sends it back to.

        Raises:
            KeysAway: The provider cannot be asked.
        """
        state, nonce, verifier = edge.secret(), edge.secret(), edge.secret()
        url, _ = self._client(home).create_authorization_url(
            self._endpoint("authorization_endpoint"),
            state=state,
            nonce=nonce,
            code_verifier=verifier,
        )
        self._left[state] = _Left(visitor, nonce, verifier, path, edge.elapsed())
        while len(self._left) > LEFT_MOST:
            self._left.popitem(last=False)
        return str(url)

    def back(
        self, visitor: str, home: str, said: Mapping[str, str]
    ) -> tuple[str, dict[str, Any], str | None]:
        """
        Who came back, with the claims that a session keeps, and where to go on; blocks.

        Args:
            said: The query of the address that the browser came back to.

        Raises:
            NotSignedIn: Nobody that we know of.
            KeysAway: The provider cannot be asked.
        """
        left = self._left.pop(said.get("state", ""), None)
        if left is None or edge.elapsed() - left.at > LEFT_S:
            raise NotSignedIn("state")
        if not visitor or not hmac.compare_digest(left.visitor, visitor):
            raise NotSignedIn("state")
        if said.get("iss", self.issuer) != self.issuer:  # RFC 9207: another provider's answer
            raise NotSignedIn("issuer")
        if "error" in said or not said.get("code"):
            raise NotSignedIn("denied")
        claims = self._claims(self._exchanged(said["code"], left.verifier, home))
        if not hmac.compare_digest(str(claims.get("nonce", "")), left.nonce):
            raise NotSignedIn("nonce")
        if claims.get("azp", self.client_id) != self.client_id:
            raise NotSignedIn("audience")
        root = self.roles if self.roles in claims else self.roles.partition(".")[0]
        kept = {name: claims[name] for name in (root, *KEPT) if name in claims}
        return claims["sub"], kept, left.next

    def _exchanged(self, code: str, verifier: str, home: str) -> str:
        from authlib.common.errors import AuthlibBaseError
        from httpx import HTTPError

        with self._client(home) as client:
            try:
                answer = client.fetch_token(
                    self._endpoint("token_endpoint"),
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=verifier,
                )
            except AuthlibBaseError:
                raise NotSignedIn("code") from None
            except (HTTPError, ValueError) as problem:
                raise KeysAway(type(problem).__name__) from None
        text = answer.get("id_token")
        if not isinstance(text, str):
            raise NotSignedIn("id-token")
        return text

    def _claims(self, text: str) -> dict[str, Any]:
        assert self.client_id is not None
        for _ in range(2):
            try:
                return verified(text, self.keys, self.issuer, self.client_id)
            except KeysDue:
                self.keys.look_up()
            except NotAuthentic as problem:
                raise NotSignedIn(problem.cause) from None
        raise NotSignedIn("unknown-key")

    def _endpoint(self, name: str) -> str:
        url = self.metadata().get(name)
        if not isinstance(url, str) or not is_safe(url):
            raise KeysAway(name)
        return url

    def _client(self, home: str) -> Any:
        return _oauth()(
            client_id=self.client_id,
            client_secret=self._secret,
            token_endpoint_auth_method=self._method(),
            scope=SCOPE,
            redirect_uri=home,
            code_challenge_method="S256",
            timeout=ANSWER_S,
            follow_redirects=False,
        )

    def _method(self) -> str:
        if self._secret is None:
            return "none"
        offered = self.metadata().get("token_endpoint_auth_methods_supported")
        usual = "client_secret_basic"
        if isinstance(offered, list) and usual not in offered and "client_secret_post" in offered:
            return "client_secret_post"
        return usual
