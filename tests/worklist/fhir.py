"""What the tests of ``/fhir`` have in common: two judges of R4, and ways to ask and to write."""

from pathlib import Path
from typing import Any, Final

import httpx
import jsonschema_rs
import orjson
from fhirclient.models.fhirelementfactory import FHIRElementFactory

from tests.worklist.world import World

# R4's own schema: <https://hl7.org/fhir/R4/fhir.schema.json.zip>, what /fhir does not use left out.
R4: Final = jsonschema_rs.Draft6Validator(
    orjson.loads((Path(__file__).parent / "data" / "fhir-r4.schema.json").read_bytes())
)
BASE: Final = "http://test/fhir"


def faults(resource: Any) -> list[str]:
    """What is wrong with *resource* by R4's schema, and by the models of a client, strictly."""
    found = [fault.message for fault in R4.iter_errors(resource)]
    try:
        FHIRElementFactory.instantiate(resource["resourceType"], resource)
    except Exception as fault:  # noqa: BLE001 - whatever it minds
        found.append(str(fault))
    return found


async def ask(
    made: World, path: str, token: str | None = "demo-supervisor", **params: Any
) -> httpx.Response:
    async with made.client(token) as client:
        return await client.get(f"{BASE}{path}", params=params or None)


async def got(made: World, path: str, token: str = "demo-supervisor", **params: Any) -> Any:
    """The resource of a 200, which is valid R4."""
    response = await ask(made, path, token, **params)
    assert response.status_code == 200, response.text
    resource = response.json()
    assert faults(resource) == []
    return resource


async def found(made: World, path: str, token: str = "demo-supervisor", **params: Any) -> list[Any]:
    """The matches of a search."""
    bundle = await got(made, path, token, **params)
    matches = [e["resource"] for e in bundle.get("entry", []) if e["search"]["mode"] == "match"]
    assert bundle["total"] == len(matches)
    return matches


async def post(
    made: World, path: str, form: dict[str, str], token: str = "demo-supervisor"
) -> httpx.Response:
    async with made.client(token) as client:
        return await client.post(f"{BASE}{path}", data=form)


def following(bundle: dict[str, Any]) -> str | None:
    """The link to the next page."""
    return next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)


def output(name: str, value: str) -> dict[str, Any]:
    return {"type": {"text": name}, "valueString": value}


async def put(made: World, resource: dict[str, Any], **headers: str) -> httpx.Response:
    said = {
        "content-type": "application/fhir+json",
        "If-Match": f'W/"{resource["meta"]["versionId"]}"',
        **headers,
    }
    async with made.client() as client:
        url = f"{BASE}/Task/{resource['id']}"
        return await client.put(url, content=orjson.dumps(resource), headers=said)


async def patch(made: World, resource: dict[str, Any], *operations: Any) -> httpx.Response:
    headers = {
        "content-type": "application/json-patch+json",
        "If-Match": f'W/"{resource["meta"]["versionId"]}"',
    }
    async with made.client() as client:
        url = f"{BASE}/Task/{resource['id']}"
        return await client.patch(url, content=orjson.dumps(operations), headers=headers)
