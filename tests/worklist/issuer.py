"""An identity provider over real HTTP: discovery, keys, code flow with PKCE, made with joserfc."""

import base64
import hashlib
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT: Final = "care-pages"
SECRET: Final = "shh-between-two-servers"
AUDIENCE: Final = "care-orchestrator"
STARTS_S: Final = 30.0
CLAIMS: Final[dict[str, Any]] = {
    "sub": "u-1",
    "roles": ["rn"],
    "teams": ["nurse-outreach"],
    "facilities": ["GEN"],
}


def made_key(kind: str, kid: str) -> Key:
    """A key pair of one of the algorithms."""
    said: Any = {"kid": kid, "use": "sig"}
    if kind.startswith(("RS", "PS")):
        return RSAKey.generate_key(2048, said)
    if kind.startswith("ES"):
        return ECKey.generate_key({"ES256": "P-256", "ES384": "P-384"}[kind], said)
    return OKPKey.generate_key("Ed25519", said)


class Issuer:
    """
    The provider, and what a test changes about it.

    Attributes:
        says: Claims of the next ID token, over the right ones; ``None`` leaves one out.
        asked: The paths that were asked for.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.keys: list[Key] = [made_key("ES256", "k1")]
        self.says: dict[str, Any] = {}
        self.header: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.refuses: str | None = None
        self.asked: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        self.app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._discovery),
                Route("/jwks", self._jwks),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
            ]
        )

    def signed(
        self,
        claims: dict[str, Any] | None = None,
        *,
        key: Key | None = None,
        algorithm: str = "ES256",
        header: dict[str, Any] | None = None,
    ) -> str:
        """An access token: right but for what is said otherwise; ``None`` leaves a claim out."""
        now = int(time.time())
        whole = {
            **CLAIMS,
            "iss": self.url,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + 300,
            **(claims or {}),
        }
        used = key or self.keys[0]
        said = {"alg": algorithm, "typ": "at+jwt", "kid": used.kid, **(header or {})}
        plain = {name: value for name, value in whole.items() if value is not None}
        names = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(names, plain, used, algorithms=[algorithm])

    async def _discovery(self, request: Request) -> Response:
        self.asked.append(request.url.path)
        return JSONResponse(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/jwks",
                **self.metadata,
            }
        )

    async def _jwks(self, request: Request) -> Response:
        self.asked.append(request.url.path)
        return JSONResponse({"keys": [key.as_dict(private=False) for key in self.keys]})

    async def _authorize(self, request: Request) -> Response:
        said = dict(request.query_params)
        back = {"state": said["state"], "iss": self.url}
        if self.refuses is not None:
            return RedirectResponse(
                f"{said['redirect_uri']}?{urlencode({**back, 'error': self.refuses})}", 302
            )
        code = secrets.token_urlsafe(16)
        self._codes[code] = said
        return RedirectResponse(f"{said['redirect_uri']}?{urlencode({**back, 'code': code})}", 302)

    async def _token(self, request: Request) -> Response:
        self.asked.append(request.url.path)
        said = dict(parse_qsl((await request.body()).decode()))
        known = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        asked = self._codes.pop(said.get("code", ""), None)
        if request.headers.get("authorization") != f"Basic {known}":
            return JSONResponse({"error": "invalid_client"}, 401)
        digest = hashlib.sha256(said.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if (
            asked is None
            or asked.get("code_challenge_method") != "S256"
            or asked.get("code_challenge") != challenge
            or asked["redirect_uri"] != said.get("redirect_uri")
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        claims = {"aud": CLIENT, "nonce": asked["nonce"], **self.says}
        token = self.signed(claims, header={"typ": "JWT", **self.header})
        return JSONResponse({"access_token": "opaque", "token_type": "Bearer", "id_token": token})


@contextmanager
def issuing() -> Iterator[Issuer]:
    """The provider at work, in a thread of its own."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        issuer = Issuer(taken.getsockname()[1])
        server = uvicorn.Server(
            uvicorn.Config(issuer.app, log_config=None, lifespan="off", ws="none")
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
        thread.start()
        try:
            until = time.monotonic() + STARTS_S
            while not server.started:
                assert time.monotonic() < until, "the provider did not start"
                time.sleep(0.01)
            yield issuer
        finally:
            server.should_exit = True
            thread.join()
