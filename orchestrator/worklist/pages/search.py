"""Finding a patient: what is typed is posted, so no name stands in an address or a log."""

import re
from typing import Any, Final

import orjson
from fastapi import Response
from pydantic import ValidationError

from orchestrator.worklist.api import patients
from orchestrator.worklist.api.guard import rule
from orchestrator.worklist.api.patients import FOUND_MAX, PatientSearch
from orchestrator.worklist.api.queries import Query as NoQuery
from orchestrator.worklist.pages import calling, wording
from orchestrator.worklist.pages.frame import page, zone_of
from orchestrator.worklist.pages.guard import HTML, PageCallOf

FIELD: Final = "q"
HOW: Final = "Type an identifier (RIV|100001), or a name and a birth date (Lopez 1955-03-02)."
_ISO: Final = re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b")
_US: Final = re.compile(r"\b(\d{1,2})/(\d{1,2})/(\d{4})\b")


def asked(text: str) -> PatientSearch | None:
    """What was typed as a search; ``None``: it is neither of the two ways."""
    text = text.strip()
    try:
        if "|" in text:
            return PatientSearch(identifier=text)
        if found := _ISO.search(text):
            year, month, day = found.groups()
        elif found := _US.search(text):
            month, day, year = found.groups()
        else:
            return None
        name = " ".join((text[: found.start()] + " " + text[found.end() :]).split())
        return PatientSearch(name=name, birth_date=f"{year}-{int(month):02d}-{int(day):02d}")
    except ValidationError:
        return None


@rule("patients", media=HTML)
async def form(call: PageCallOf) -> Response:
    """An empty search."""
    return await page(call.request, "search.html", "Find a patient", **_nothing(), how=HOW)


@rule("patients", "search", media=HTML)
async def search(call: PageCallOf) -> Response:
    """At most twenty patients with something open."""
    typed = str(call.form.get(FIELD, ""))
    body = asked(typed)
    if body is None:
        shown = {**_nothing(), "typed": typed, "wrong": HOW}
        return await page(call.request, "search.html", "Find a patient", 422, **shown, how=HOW)
    answer = await patients.search(call, body, NoQuery())
    told = orjson.loads(bytes(answer.body))
    today = wording.local(call.site.log_now(), zone_of(call.site, None)).date()
    people = [
        (
            one["patient_key"],
            calling.person(one["contact"], f"Patient {one['patient_key'][:6]}", today),
            one["open_tasks"],
            one["open_gaps"],
        )
        for one in told["items"]
    ]
    return await page(
        call.request,
        "search.html",
        "Find a patient",
        fresh=told["freshness"],
        typed=typed,
        wrong="",
        people=people,
        most=FOUND_MAX,
        how=HOW,
    )


def _nothing() -> dict[str, Any]:
    return {"typed": "", "wrong": "", "people": None, "most": FOUND_MAX}


ROUTES: Final = (("/patients", ["GET"], form), ("/patients/search", ["POST"], search))
