"""Who says who somebody is: the settings' way of signing in, made into what a worklist needs."""

from typing import TYPE_CHECKING, Final, NamedTuple

from orchestrator.cli.faults import Mistake
from orchestrator.settings import session_secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.settings import Settings
    from orchestrator.worklist.access.modes import Access
    from orchestrator.worklist.access.oidc import Provider
    from orchestrator.worklist.access.store import AccessStore
    from orchestrator.worklist.access.tokens import Authenticator

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
# Says that a folder is a demo's: in no other are made-up people anybody.
DEMO_MARKER: Final = ".care-demo"


def check(here: "Settings") -> None:
    """
    Raises:
        Mistake: The settings' way of signing in cannot be gone.
    """
    if here.auth_mode == "demo":
        if here.host not in LOOPBACK:
            raise Mistake("CARE_AUTH_MODE=demo is for loopback alone; everybody knows its tokens")
        if not (here.data_dir / DEMO_MARKER).exists():
            raise Mistake(
                f"CARE_AUTH_MODE=demo: {here.data_dir} is not a demo's folder; `care-orchestrator"
                " demo` makes one, with made-up patients"
            )
    if here.auth_mode == "oidc":
        _check_issuer(here)


def _check_issuer(here: "Settings") -> None:
    from importlib.util import find_spec

    from orchestrator.worklist.access.keys import is_safe

    if here.auth_issuer is None:
        raise Mistake("CARE_AUTH_MODE=oidc needs CARE_AUTH_ISSUER")
    for name, place in (("ISSUER", here.auth_issuer), ("JWKS", here.auth_jwks or "")):
        if "://" in place and not is_safe(place):
            raise Mistake(f"CARE_AUTH_{name} must begin with https://")
    if here.auth_client_id is not None and not (find_spec("authlib") and find_spec("httpx")):
        raise Mistake("CARE_AUTH_MODE=oidc needs: pip install 'care-orchestrator[oidc]'")


def ways_of(here: "Settings") -> "Ways":
    """Whose tokens are taken, and how people get to pages."""
    provider = _provider(here) if here.auth_mode == "oidc" else None
    return Ways(
        authenticator=lambda store: _authenticator(here, store, provider),
        access=lambda store: _access(here, store, provider),
    )


class Ways(NamedTuple):
    """Both over what the worklist remembers."""

    authenticator: "Callable[[AccessStore], Authenticator]"
    access: "Callable[[AccessStore], Access]"


def _authenticator(
    here: "Settings", store: "AccessStore", provider: "Provider | None"
) -> "Authenticator":
    from orchestrator.worklist.access.bearer import IssuedTokens
    from orchestrator.worklist.access.tokens import DemoTokens, LocalTokens, site_signing_key

    if here.auth_mode == "demo":
        return DemoTokens()
    if provider is None:
        return LocalTokens(site_signing_key(here.data_dir), here.auth_audience, store)
    return IssuedTokens(
        provider.keys, provider.issuer, here.auth_audience, store, roles=here.auth_roles_claim
    )


def _access(here: "Settings", store: "AccessStore", provider: "Provider | None") -> "Access":
    from orchestrator.worklist.access.modes import access_of

    return access_of(
        store,
        here.auth_mode,
        secret=session_secret(here),
        secure=here.tls_cert is not None or here.behind_tls_proxy,
        idle=here.session_idle,
        longest=here.session_max,
        roles_claim=here.auth_roles_claim,
        provider=provider,
    )


def _provider(here: "Settings") -> "Provider":
    from orchestrator.worklist.access.oidc import Provider

    assert here.auth_issuer is not None  # `check`
    secret = here.auth_client_secret
    return Provider(
        here.auth_issuer,
        here.auth_client_id,
        None if secret is None else secret.get_secret_value(),
        jwks=here.auth_jwks,
        roles=here.auth_roles_claim,
    )
