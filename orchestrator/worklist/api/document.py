"""The OpenAPI document, and what its links lead to: problem types and the published schemas."""

from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, Final

from fastapi import FastAPI, Path, Query, Response
from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

from orchestrator.worklist.api.answers import json_response
from orchestrator.worklist.api.guard import JSON, GuardedRoute, rule
from orchestrator.worklist.api.queries import Query as NoQuery
from orchestrator.worklist.problems import MEDIA, REASONS, Problem
from schemas.export import export_schemas

DESCRIPTION: Final = (
    "What care teams and their systems read and do. Every list says how fresh it is; every action"
    " waits for the change that it caused. Errors are problem details (RFC 9457)."
)


def describe(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Let *app* tell its document, made once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, routes)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's own way


def _document(app: FastAPI, routes: Sequence[BaseRoute]) -> dict[str, Any]:
    made = get_openapi(
        title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes
    )
    rules = {
        (route.path, method): route.rule
        for route in routes
        if isinstance(route, GuardedRoute)
        for method in route.methods or ()
    }
    made["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            guarded = rules.get((path, method.upper()))
            operation["security"] = (
                [] if guarded is None or guarded.permission is None else [{"bearer": []}]
            )
            if guarded is not None and guarded.permission is not None:
                operation["x-permission"] = guarded.permission
            media = JSON if guarded is None else guarded.media
            for status, answer in operation["responses"].items():
                _name_media(answer, media if status.startswith("2") else MEDIA)
    return made


def _name_media(answer: dict[str, Any], media: str) -> None:
    """The framework takes every answer for JSON; what is no JSON is a text to it."""
    if JSON in answer.get("content", {}):
        told = answer["content"].pop(JSON)
        answer["content"][media] = told if "json" in media else {"schema": {"type": "string"}}


@cache
def _schemas() -> dict[str, dict[str, Any]]:
    return export_schemas()


Name = Annotated[str, Path(max_length=100)]


@rule(None)
async def problem_type(reason: Name, query: Annotated[NoQuery, Query()]) -> Response:
    """What a problem's ``type`` means."""
    del query
    if reason not in REASONS:
        raise Problem("not-found")
    status, title, retry = REASONS[reason]
    return json_response({"reason": reason, "status": status, "title": title, "retry": retry})


@rule(None)
async def schema(name: Name, query: Annotated[NoQuery, Query()]) -> Response:
    """The JSON Schema of a published record or event."""
    del query
    found = _schemas().get(name.removesuffix(".json"))
    if found is None:
        raise Problem("not-found")
    return json_response(found)
