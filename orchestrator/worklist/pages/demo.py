"""The demo's buttons: the clock, and what a visitor makes happen at the hospital.

What a button makes happen is what a hospital would send, through the same topics; nothing here
writes what the product decides.
"""

import sqlite3
from typing import Any, Final

import orjson
from fastapi import Response
from fastapi.responses import RedirectResponse

from orchestrator.worklist import edge
from orchestrator.worklist.api.guard import rule
from orchestrator.worklist.demo import PACES
from orchestrator.worklist.instants import SECOND, text_of
from orchestrator.worklist.pages.banner import FEED, HIDDEN
from orchestrator.worklist.pages.frame import page
from orchestrator.worklist.pages.guard import HTML, PageCall, PageCallOf, own_path
from orchestrator.worklist.problems import Problem
from schemas.topics import topic_of

HIDE_S: Final = 3600
HOUR: Final = 3600 * SECOND
DAY: Final = 24 * HOUR
# The pace at which a silence of three hours is one of eighteen seconds.
FAST: Final = 600
# So long a button waits for what it made happen; a worker that naps takes longer.
WAIT_S: Final = 5.0
TICK_S: Final = 0.2
# Of different lengths, so that together they name no one twice for long.
GIVEN: Final = ("Teal", "Amber", "Coral", "Indigo", "Sienna", "Violet")
FAMILY: Final = ("Foxglove", "Larkspur", "Snowdrop", "Bluebell", "Marigold", "Primrose", "Campion")


@rule(None, media=HTML, forms=True)
async def pace(call: PageCallOf) -> Response:
    """Pause, or go on so many times as fast as time."""
    demo = _demo(call)
    said = str(call.form.get("pace", ""))
    if said == "0":
        demo.paused = True
    elif said in {str(one) for one in PACES}:
        demo.run_at(int(said))
    else:
        raise Problem("unprocessable")
    return _back(call)


@rule(None, media=HTML, forms=True)
async def hide(call: PageCallOf) -> Response:
    """Put the buttons away for an hour, or get them back."""
    _demo(call)
    age = 0 if call.form.get("show") else HIDE_S
    call.cookies.append(f"{HIDDEN}=1; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax")
    return _back(call)


@rule(None, media=HTML, forms=True)
async def over(call: PageCallOf) -> Response:
    """Begin again."""
    _demo(call).over = True
    return await page(call.request, "demo_over.html", "The demo begins again")


@rule(None, media=HTML, forms=True)
async def slow(call: PageCallOf) -> Response:
    """Let the worker nap, or work again."""
    demo = _demo(call)
    demo.slow = not demo.slow
    return _back(call)


@rule(None, media=HTML, forms=True)
async def silence(call: PageCallOf) -> Response:
    """Let one hospital send nothing, or speak again."""
    demo = _demo(call)
    demo.silent = demo.silent ^ {FEED}
    if demo.silent:
        demo.run_at(FAST)
    return _back(call)


@rule(None, media=HTML, forms=True)
async def cancel(call: PageCallOf) -> Response:
    """The hospital takes back a discharge for which tasks are open."""
    _demo(call)

    def newest(db: sqlite3.Connection) -> tuple[dict[str, Any], str] | None:
        row = db.execute(
            "SELECT said.value, t.task_id FROM transitions n JOIN transitions_said said USING (id)"
            " JOIN tasks t USING (transition_id)"
            " WHERE n.status = 'active' AND t.open = 1 AND t.kind = 'CALL_48H'"
            " ORDER BY n.updated_at DESC, n.id DESC LIMIT 1"
        ).fetchone()
        return None if row is None else (orjson.loads(row[0]), row[1])

    found = await call.site.reader.ask(newest)
    if found is None:
        raise Problem("not-found", "No discharge with an open call at the moment.")
    left, task = found
    data = {"visit_number": left["visit_number"], "cancels_at": left["index_discharge_at"]}
    await _tell(call, "discharge.cancelled", left["subject"], left["facility"], data)
    # The patient is nobody's any more: what is left to see is the call that is not to be made.
    return RedirectResponse(f"/tasks/{task}", 303)


@rule(None, media=HTML, forms=True)
async def late(call: PageCallOf) -> Response:
    """The hospital tells today of a discharge of three days ago, each time of another person."""
    demo = _demo(call)
    told, demo.late = demo.late, demo.late + 1
    number = (edge.now() // SECOND + told) % 1_000_000
    now = call.site.log_now()
    subject, visit = f"RIV|9{number:06d}", f"L{number:06d}"
    stay = {"visit_number": visit, "class": "INPATIENT", "admitted_at": text_of(now - 6 * DAY)}
    left = {**stay, "disposition": "01", "discharged_at": text_of(now - 3 * DAY)}
    name = {"family": FAMILY[told % len(FAMILY)], "given": [GIVEN[told % len(GIVEN)]]}
    person = {"name": name, "birth_date": f"{1951 - told % 20}-02-03"}
    more = {"language": "en", "phones": [f"202-555-01{55 + told % 42}"]}
    await _tell(call, "patient.updated", subject, FEED, {**person, **more})
    await _tell(call, "admission.opened", subject, FEED, stay, at=now - 6 * DAY)
    await _tell(call, "discharge.recorded", subject, FEED, left, at=now - 3 * DAY)
    key = call.site.key_of(subject)
    # Before their tasks are there, nobody may open a patient whom nobody knows.
    return RedirectResponse(f"/patients/{key}" if await _there(call, key) else "/work", 303)


async def _there(call: PageCall, key: str) -> bool:
    """Whether the patient of *key* has open tasks, soon."""

    def owed(db: sqlite3.Connection) -> bool:
        sql = "SELECT EXISTS (SELECT 1 FROM tasks WHERE patient_key = ? AND open = 1)"
        return bool(db.execute(sql, (key,)).fetchone()[0])

    end = edge.elapsed() + WAIT_S
    while not await call.site.reader.ask(owed):
        left = end - edge.elapsed()
        if left <= 0:
            return False
        await call.site.hub.tick(min(left, TICK_S))
    return True


async def _tell(
    call: PageCall,
    what: str,
    subject: str,
    facility: str,
    data: dict[str, Any],
    at: int | None = None,
) -> None:
    now = call.site.log_now()
    type_ = f"care.{what}.v1"
    topic = topic_of(type_)
    assert topic is not None
    event = {
        "specversion": "1.0",
        "id": edge.new_id(),
        "source": f"demo/{facility}",
        "type": type_,
        "time": text_of(now if at is None else at),
        "recordedtime": text_of(now),
        "subject": subject,
        "facility": facility,
        "data": data,
    }
    await call.site.sender.send(topic, None, orjson.dumps(event))


def _demo(call: PageCall) -> Any:
    """The controls; elsewhere than in a demo these addresses do not exist."""
    if call.site.demo is None:
        raise Problem("not-found")
    return call.site.demo


def _back(call: PageCall) -> Response:
    return RedirectResponse(own_path(str(call.form.get("back", ""))) or "/", 303)


ROUTES: Final = (
    ("/demo/pace", ["POST"], pace),
    ("/demo/hide", ["POST"], hide),
    ("/demo/over", ["POST"], over),
    ("/demo/slow", ["POST"], slow),
    ("/demo/silence", ["POST"], silence),
    ("/demo/cancel", ["POST"], cancel),
    ("/demo/late", ["POST"], late),
)
