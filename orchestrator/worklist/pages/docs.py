"""``/docs``: the API's document (`/openapi.json`) to be read by people; without a script.

Made of the document itself, so it says neither more nor less.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Final, NamedTuple

from fastapi import Query, Response

from orchestrator.worklist.api.guard import rule
from orchestrator.worklist.api.queries import Query as NoQuery
from orchestrator.worklist.pages.frame import page
from orchestrator.worklist.pages.guard import HTML, PageCallOf

_BOUNDS: Final = ("format", "pattern", "minimum", "maximum", "maxLength", "maxItems")


class Field(NamedTuple):
    """A parameter or a member."""

    name: str
    where: str
    kind: str
    needed: bool
    text: str


class Operation(NamedTuple):
    """What one may ask."""

    method: str
    path: str
    text: str
    permission: str | None
    fields: list[Field]
    body: str | None
    answers: list[tuple[str, str]]


@rule(None, media=HTML)
async def docs(call: PageCallOf, query: Annotated[NoQuery, Query()]) -> Response:
    """Every operation and every shape."""
    del query
    document = call.request.app.openapi()
    shapes = document["components"]["schemas"]
    return await page(
        call.request,
        "docs.html",
        "API",
        operations=list(_operations(document)),
        shapes=[(name, _members(shape)) for name, shape in sorted(shapes.items())],
    )


def _operations(document: dict[str, Any]) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            body = told.get("requestBody", {}).get("content", {}).get("application/json")
            yield Operation(
                method.upper(),
                path,
                told.get("description", ""),
                told.get("x-permission"),
                [_parameter(one) for one in told.get("parameters", [])],
                None if body is None else kind_of(body["schema"]),
                [
                    (status, _answer(answer))
                    for status, answer in sorted(told["responses"].items())
                    if status.startswith(("2", "3"))
                ],
            )


def _parameter(told: dict[str, Any]) -> Field:
    text = told.get("description") or told["schema"].get("description", "")
    kind = kind_of(told["schema"])
    return Field(told["name"], told["in"], kind, told.get("required", False), text)


def _answer(answer: dict[str, Any]) -> str:
    for media, told in answer.get("content", {}).items():
        return f"{media} {kind_of(told.get('schema', {}))}".strip()
    return str(answer["description"])


def _members(shape: dict[str, Any]) -> list[Field]:
    needed = shape.get("required", [])
    return [
        Field(name, "", kind_of(told), name in needed, told.get("description", ""))
        for name, told in shape.get("properties", {}).items()
    ]


def kind_of(schema: dict[str, Any]) -> str:
    """A schema in a few words; what it refers to by its name."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(kind_of(one) for one in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return ", ".join(str(one) for one in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"several: {kind_of(schema.get('items', {}))}"
    bounds = [f"{name} {schema[name]}" for name in _BOUNDS if name in schema]
    return " ".join([str(schema.get("type", "anything")), *bounds])


ROUTES: Final = (("/docs", ["GET"], docs),)
