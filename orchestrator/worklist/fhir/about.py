"""What a client asks before it has a token: ``metadata`` and SMART's configuration."""

from functools import cache
from importlib.metadata import version
from typing import Any, Final

import orjson
from fastapi import Request, Response

from orchestrator.worklist import edge
from orchestrator.worklist.api.guard import refuse_unacceptable, rule
from orchestrator.worklist.fhir import names
from orchestrator.worklist.fhir.answering import fhir_response, only
from orchestrator.worklist.fhir.bundles import base_of
from orchestrator.worklist.fhir.capability import capability
from orchestrator.worklist.fhir.kinds import KINDS
from orchestrator.worklist.instants import text_of
from orchestrator.worklist.problems import FHIR_MEDIA
from orchestrator.worklist.site import Site

# What SMART's configuration takes over from the provider's own.
_OF_PROVIDER: Final = (
    "issuer",
    "jwks_uri",
    "authorization_endpoint",
    "token_endpoint",
    "token_endpoint_auth_methods_supported",
    "introspection_endpoint",
    "revocation_endpoint",
)


@rule(None, media=FHIR_MEDIA)
async def metadata(request: Request) -> Response:
    """What this door can do."""
    refuse_unacceptable(request, FHIR_MEDIA)
    only(request, ("mode",))
    site: Site = request.app.state.site
    smart = site.smart
    return fhir_response(
        capability(version("care-orchestrator"), _since(), base_of(request), smart)
    )


@cache
def _since() -> str:
    """This statement holds since the process began."""
    return text_of(edge.now())[:19].removesuffix("Z") + "Z"


@rule(None)
async def smart_configuration(request: Request) -> Response:
    """
    Where tokens come from and what scopes mean here (SMART App Launch 2).

    Without an identity provider tokens are made by ``auth token``, and there is no endpoint.
    """
    site: Site = request.app.state.site
    told = site.smart or {}
    provider = {name: told[name] for name in _OF_PROVIDER if name in told}
    letters = {name: "rus" if name == names.TASK else "rs" for name in KINDS}
    content: dict[str, Any] = {
        **provider,
        "scopes_supported": [
            f"{who}/{name}.{letters[name]}" for who in ("user", "system") for name in KINDS
        ],
        "capabilities": ["permission-v1", "permission-v2", "permission-user"],
        "grant_types_supported": told.get("grant_types_supported", []),
        "code_challenge_methods_supported": ["S256"] if provider else [],
    }
    return Response(orjson.dumps(content), media_type="application/json")


ROUTES: Final = (
    ("/fhir/metadata", ["GET"], metadata),
    ("/fhir/.well-known/smart-configuration", ["GET"], smart_configuration),
    ("/.well-known/smart-configuration", ["GET"], smart_configuration),
)
