"""Patients, gaps, operations, dead letters, policy, audit and the demo as pages, without script."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from orchestrator.core.instants import DAY, HOUR, written
from orchestrator.stream.clock import RealClock
from orchestrator.stream.sqlite_log import Log
from orchestrator.worklist.access.roles import ROLES, principal
from orchestrator.worklist.demo import Demo
from tests.worklist.world import Browser, World, discharged, world

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAME: Final = "Quillfeather"
PHONE: Final = "202-555-0117"
DRUG: Final = "zanzibarol"
# What only somebody of a care team may learn.
PLANTED: Final = (NAME, PHONE, DRUG, "MRN1", "V1-")
PEOPLE: Final = [name for name in ROLES if name not in ("publisher", "care-system")]
# Page -> the permission that it asks for.
PAGES: Final = {
    "/gaps": "gaps",
    "/gaps?status=recorded": "gaps",
    "/gaps?status=closed&flapping=on&severity=high&facility=GEN": "gaps",
    "/gaps/print": "export",
    "/patients": "patients",
    "/operations": "operations",
    "/operations?range=7d": "operations",
    "/operations/now": "operations",
    "/dead-letters": "dead-letters",
    "/dead-letters?reason=malformed": "dead-letters",
    "/policy": "policy",
    "/audit": "audit",
    "/audit?action=read&first=2026-01-01&last=2026-12-31&break_glass=on": "audit",
    "/audit/export": "audit",
}


def told(what: str, data: dict[str, Any], *, ago: float = 0, number: int = 1) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"told-{what}-{number}-{ago}",
        "source": "hospital/GEN/adt",
        "type": f"care.{what}.v1",
        "time": written(RealClock().now() - int(ago * HOUR)),
        "subject": f"GEN|MRN{number}",
        "facility": "GEN",
        "data": data,
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Six patients, one with a name and a number, and a message that cannot be read."""
    async with world(tmp_path_factory.mktemp("story")) as made:
        person = {
            "name": {"family": NAME, "given": ["Fern"]},
            "birth_date": "1955-03-02",
            "phones": [PHONE],
            "language": "es",
        }
        made.send(told("patient.updated", person))
        with Log.open(made.folder) as log:
            broken = f'{{"facility": "{NAME}", "drug": "{DRUG}", "phone": "{PHONE}"'
            log.append("care.discharge.v1", None, broken.encode())
        await made.until("/gaps?status=open", lambda found: found["total"] >= 1, "demo-supervisor")
        key = made.site.key_of("GEN|MRN1")
        await made.until(
            f"/patients/{key}", lambda card: (card["contact"] or {}).get("name"), "demo-rn"
        )
        await letter_of(made)
        yield made


async def letter_of(made: World) -> str:
    """The address of the letter."""
    for _ in range(600):
        async with made.browser("demo-operator") as browser:
            page = await browser.get("/dead-letters")
        found = re.search(r'href="(/dead-letters/[^"?]+)"', page.text)
        if found is not None:
            return found[1]
        await made.site.hub.tick(0.2)
    raise AssertionError("no letter came")


def text_of(html: str) -> str:
    """What is read of a page."""
    plain = re.sub(r"<(script|style)[^>]*>.*?</\1>|<[^>]+>", " ", html, flags=re.DOTALL)
    return " ".join(plain.replace("&#39;", "'").replace("&amp;", "&").split())


@pytest.mark.parametrize("path", PAGES)
async def test_each_page_opens_for_its_roles_alone(shared: World, path: str) -> None:
    """Whole pages with a title for those who may, 403 for the others, sign-in for nobody."""
    for role in PEOPLE:
        async with shared.browser(f"demo-{role}") as browser:
            page = await browser.get(path)
        may = PAGES[path] in ROLES[role].may
        assert page.status_code == (200 if may else 403), (role, page.text[:300])
        if may and page.headers["content-type"].startswith("text/html") and "/now" not in path:
            assert page.text.startswith("<!doctype html>")
            assert re.search(r"<title>[^<]+ - Care transitions</title>", page.text)
    async with shared.browser(None) as browser:
        page = await browser.get(path)
    assert page.status_code == 303
    assert page.headers["location"].startswith("/sign-in?next=")


async def test_an_operators_pages_hold_nothing_of_a_patient(shared: World) -> None:
    """No planted name, number, drug, identifier or visit: HTML, headers, titles, exports, print."""
    letter = await letter_of(shared)
    seen = []
    for role in ("operator", "auditor", "data-steward"):
        async with shared.browser(f"demo-{role}") as browser:
            for path in (*PAGES, letter, f"/patients/{shared.site.key_of('GEN|MRN1')}"):
                page = await browser.get(path)
                whole = page.text + repr(page.headers)
                seen += [(role, path, word) for word in PLANTED if word in whole]

    assert seen == []


async def test_gaps_say_what_is_missing_where_and_why(shared: World) -> None:
    """Name, patient with age, since when, the sentence; filters stand in the address."""
    async with shared.browser("demo-rn") as browser:
        page = text_of((await browser.get("/gaps")).text)
        none = text_of((await browser.get("/gaps?code=FEED_SILENT")).text)

    assert "A gap closes by itself when the facts change; nobody has to close one." in page
    assert "No PCP on file NO_PCP_ON_FILE" in page
    assert f"Fern {NAME}, " in page
    assert "No primary-care provider is on file." in page
    assert "No gap matches these filters. Clear filters" in none


async def test_gaps_of_a_silent_feed_are_doubted(shared: World) -> None:
    """`may be missing data` beside what rests on silence; nowhere else."""
    async with shared.browser("demo-rn") as browser:
        before = (await browser.get("/gaps")).text
        put = "INSERT INTO gaps VALUES (NULL, 'silent', 1, NULL, NULL, 'GEN', 'operations',"
        sql = f"{put} 'FEED_SILENT', 'low', 3, 'open', 0, 0, 0, 1)"
        with model(shared) as db:
            db.execute(sql)
        during = (await browser.get("/gaps")).text
        with model(shared) as db:
            db.execute("DELETE FROM gaps WHERE gap_id = 'silent'")

    assert "may be missing data</span>" not in before
    rows = re.findall(r"<tr.*?</tr>", during, flags=re.DOTALL)
    doubted = [row for row in rows if "may be missing data" in row]
    assert doubted
    assert all("NO_PCP_ON_FILE" in row for row in doubted)
    assert len(doubted) < len([row for row in rows if "NO_PCP_ON_FILE" in row]), "MID speaks"


def model(made: World) -> Any:
    """The read model, to be written by hand."""
    import sqlite3
    from contextlib import contextmanager

    @contextmanager
    def opened() -> Any:
        db = sqlite3.connect(made.folder / "worklist.sqlite", timeout=30)
        try:
            with db:
                yield db
        finally:
            db.close()

    return opened()


async def test_a_patients_page_tells_the_whole_story(shared: World) -> None:
    """Who, what is next, what was and why; and no name in address or title."""
    key = shared.site.key_of("GEN|MRN1")
    async with shared.browser("demo-rn") as browser:
        html = (await browser.get(f"/patients/{key}")).text
        gaps = text_of((await browser.get(f"/patients/{key}?show=gaps")).text)
    page = text_of(html)

    assert "Born 2 Mar 1955 Record GEN MRN1" in page
    assert "<title>Patient - Care transitions</title>" in html
    assert f"Fern {NAME}, " in page
    assert "In transition, day 0 of 30" in page or "In transition, day 1 of 30" in page
    assert '<ol class="window"' in html
    assert "48-hour call is due" in page
    assert "48-hour call is owed by nurse-outreach" in page
    assert "Discharged from GEN" in page
    assert "[event]" in page
    assert "rule core/call-48h" in page
    assert PHONE in page
    assert "Language Spanish" in page
    assert "No medication list has been compared for this patient." in page
    assert "Gap opened: No PCP on file" in gaps
    assert "48-hour call is owed" not in gaps


async def test_a_minimal_role_reads_that_something_is_hidden(shared: World) -> None:
    """Never a blank where something may be."""
    key = shared.site.key_of("GEN|MRN1")
    async with shared.browser("demo-scheduler") as browser:
        page = text_of((await browser.get(f"/patients/{key}")).text)

    for heading in ("Stays", "Medicines", "Scores"):
        assert f"{heading} Hidden for your role" in page


async def test_whose_patient_it_is_not_is_asked_why(shared: World) -> None:
    """A clinician is led to break-glass; another role does not even learn that there is one."""
    key = shared.site.key_of("GEN|MRN1")
    for name, role in (("far-rn", "rn"), ("far-scheduler", "scheduler")):
        who = principal(name, frozenset({role}), frozenset(), frozenset({"ELSEWHERE"}))
        shared.people.known[name] = who
    async with shared.browser("far-rn") as browser:
        page = await browser.get(f"/patients/{key}")
    async with shared.browser("far-scheduler") as browser:
        refused = await browser.get(f"/patients/{key}")
        nobody = await browser.get(f"/patients/{'0' * 32}")

    assert (page.status_code, page.headers["location"]) == (303, f"/patients/{key}/break-glass")
    assert refused.status_code == nobody.status_code == 404


async def test_a_record_that_was_joined_leads_to_the_one_that_stays(shared: World) -> None:
    """By its old address, too."""
    old, new = shared.site.key_of("GEN|OLD"), shared.site.key_of("GEN|MRN3")
    with model(shared) as db:
        db.execute("INSERT INTO subjects VALUES ('GEN|OLD', ?, ?, 1)", (old, new))
    async with shared.browser("demo-rn") as browser:
        page = await browser.get(f"/patients/{old}")

    assert (page.status_code, page.headers["location"]) == (307, f"/patients/{new}")


async def test_a_search_is_posted_and_keeps_what_was_typed(shared: World) -> None:
    """No name in an address; what is neither way to ask is said above the field."""
    async with shared.browser("demo-rn") as browser:
        found = await browser.post("/patients/search", q=f"{NAME} 1955-03-02")
        by_number = await browser.post("/patients/search", q="GEN|MRN1")
        wrong = await browser.post("/patients/search", q=NAME)
        nobody = await browser.post("/patients/search", q="GEN|NOBODY")

    key = shared.site.key_of("GEN|MRN1")
    for page in (found, by_number):
        assert f'href="/patients/{key}"' in page.text
        assert NAME not in page.text.partition("</title>")[0]
    assert wrong.status_code == 422
    assert f'value="{NAME}"' in wrong.text
    assert "There is a problem" in wrong.text
    assert "Nobody with something open is found" in text_of(nobody.text)


async def test_operations_say_what_is_not_known(shared: World) -> None:
    """This worklist looks at no lag: nothing is called well, nothing is zero."""
    async with shared.browser("demo-operator") as browser:
        html = (await browser.get("/operations")).text
        page = text_of(html)
        (reason,) = re.findall(r'href="(/dead-letters\?reason=[a-z-]+)"', html)
        led_to = text_of((await browser.get(reason)).text)

    assert "Retry all 1 with this reason" in led_to
    assert "The lag is not known: the log was not looked at in the last half minute." in page
    assert "1 dead letter waits." in page
    assert "No reader was seen: nothing is known of the lag" in page
    assert "1 waiting" in page
    assert "Nothing was seen in the last 6 h." in page


async def test_a_dead_letter_is_opened_for_a_purpose_and_recorded_first(shared: World) -> None:
    """An operator sees why and the cure; a steward the bytes, once they have said what for."""
    letter = await letter_of(shared)
    async with shared.browser("demo-operator") as operator:
        page = text_of((await operator.get(letter)).text)
        refused = await operator.post(f"{letter}/raw", purpose="because I would like to")
    async with shared.browser("demo-data-steward") as steward:
        short = await steward.post(f"{letter}/raw", purpose="why not")
        opened = await steward.post(f"{letter}/raw", purpose="mend the feed of GEN")

    assert "It cannot be read" in page
    assert "The sender's interface cuts or mangles messages." in page
    assert "hidden for your role; a data steward may open it" in page
    assert refused.status_code == 403
    assert short.status_code == 422
    assert 'value="why not"' in short.text
    assert NAME not in short.text
    assert opened.status_code == 200
    assert NAME in opened.text
    record = [one for one in shared.audit() if one["action"] == "raw"][-1]
    assert (record["purpose"], record["outcome"]) == ("mend the feed of GEN", "success")
    assert record["objects"] == [f"dead-letter/{letter.rpartition('/')[2]}"]


async def test_the_policy_is_told_in_words(shared: World) -> None:
    """When, who, what completes it, which gap opens, the next holidays."""
    async with shared.browser("demo-supervisor") as browser:
        page = text_of((await browser.get("/policy")).text)
        unknown = await browser.get("/policy?version=P99")

    assert "Policy P0 In force for every discharge, from the beginning." in page
    assert "48-hour call core/call-48h nurse-outreach 48 hours after discharge, elapsed" in page
    assert "by the end of day 7 after discharge, local days" in page
    assert "TCM contact counts until by the end of 2 business days after discharge" in page
    assert unknown.status_code == 404


async def test_the_audit_page_tells_who_did_what(shared: World) -> None:
    """Newest first, filtered, up to when; an identifier is posted and becomes a key."""
    key = shared.site.key_of("GEN|MRN1")
    async with shared.browser("demo-rn") as nurse:
        await nurse.get(f"/patients/{key}")
    async with shared.browser("demo-auditor") as browser:
        found = await browser.post("/audit/patient", identifier="GEN|MRN1")
        wrong = await browser.post("/audit/patient", identifier="MRN1")
        await until_there(browser, found.headers["location"], "demo-rn")
        none = text_of((await browser.get("/audit?actor=nobody")).text)
        export = await browser.get("/audit/export?actor=demo-rn")
        day = await browser.get("/audit?first=2026-02-31")
        half = await browser.get("/audit?actor=demo-rn&action=&first=&last=2030-01-01")

    assert (found.status_code, found.headers["location"]) == (303, f"/audit?patient_key={key}")
    assert wrong.status_code == 422
    assert (half.status_code, "demo-rn" in half.text) == (200, True)  # a form with empty fields
    assert "No record matches these filters." in none
    assert export.headers["content-disposition"] == 'attachment; filename="audit.csv"'
    assert export.text.startswith("at,actor,roles,action,")
    assert all(",demo-rn," in line for line in export.text.splitlines()[1:])
    assert day.status_code == 400
    assert [one["action"] for one in shared.audit()].count("export") >= 1


async def until_there(browser: Browser, path: str, word: str) -> None:
    """The audit is a topic like others: what was written comes a moment later."""
    page = ""
    for _ in range(600):
        page = text_of((await browser.get(path)).text)
        if f"{word} rn read" in page:
            return
        await browser._world.site.hub.tick(0.2)
    raise AssertionError(page)


async def test_an_outage_of_the_audit_is_told(shared: World) -> None:
    """When it could not be written, nothing was shown; the page says when that was."""
    from orchestrator.worklist.audit import Outage

    shared.site.audit.outages.append(Outage(0, 60_000_000))
    async with shared.browser("demo-auditor") as browser:
        page = text_of((await browser.get("/audit")).text)
    shared.site.audit.outages.clear()

    assert "Audit records could not be written from 19:00 to 19:01; nothing was shown then." in page


async def test_outside_the_demo_there_is_no_demo(shared: World) -> None:
    """No banner, no buttons; `/` leads to sign-in."""
    async with shared.browser("demo-rn") as browser:
        page = await browser.get("/gaps")
        controls = [
            await browser.post(f"/demo/{name}")
            for name in ("pace", "hide", "over", "slow", "silence", "cancel", "late")
        ]
        front = await browser.get("/")

    assert "Made-up patients" not in page.text
    assert {answer.status_code for answer in controls} == {404}
    assert (front.status_code, front.headers["location"]) == (303, "/sign-in")


@pytest_asyncio.fixture
async def demo(shared: World) -> AsyncIterator[World]:
    """The same as a demo."""
    shared.site.demo = Demo()
    yield shared
    shared.site.demo = None


async def test_the_banner_stands_on_every_page_of_the_demo(demo: World) -> None:
    """In the title, too; its buttons move the clock and go away for an hour."""
    controls = demo.site.demo
    assert controls is not None
    async with demo.browser("demo-operator") as browser:
        page = await browser.get("/operations")
        back = await browser.post("/demo/pace", pace="600", back="/operations")
        fast = text_of((await browser.get("/operations")).text)
        await browser.post("/demo/pace", pace="0", back="https://evil.example/")
        paused = text_of((await browser.get("/operations")).text)
        odd = await browser.post("/demo/pace", pace="7")
        await browser.post("/demo/hide", back="/operations")
        hidden = text_of((await browser.get("/operations")).text)
    async with demo.browser(None) as stranger:
        front = await stranger.get("/")

    assert "<title>DEMO: Operations - Care transitions</title>" in page.text
    assert "DEMO Made-up patients, simulated hospital, nothing is real." in text_of(page.text)
    assert (back.status_code, back.headers["location"]) == (303, "/operations")
    assert "clock x600" in fast
    assert "clock paused" in paused
    assert (controls.pace, controls.paused, controls.speed) == (600, True, 0)
    assert odd.status_code == 422
    assert "Start over" not in hidden
    assert "DEMO Made-up patients" in hidden
    assert "Five things to try" in text_of(front.text)


async def test_the_demos_buttons_make_things_happen_at_the_hospital(demo: World) -> None:
    """A cancelled discharge withdraws its tasks; a late one arrives late; a feed falls silent."""
    controls = demo.site.demo
    assert controls is not None
    async with demo.browser("demo-supervisor") as browser:
        cancelled = await browser.post("/demo/cancel")
        late = await browser.post("/demo/late")
        # At once, and by who sees only patients whose tasks are there.
        async with demo.browser("demo-rn") as nurse:
            whole = await nurse.get(late.headers["location"])
            another = await nurse.post("/demo/late")
            other = await nurse.get(another.headers["location"])
        await browser.post("/demo/silence", back="/")
        await browser.post("/demo/slow", back="/")
        silent, slow = controls.silent, controls.slow
        await browser.post("/demo/silence", back="/")
        await browser.post("/demo/slow", back="/")
        over = await browser.post("/demo/over")

    assert (whole.status_code, other.status_code) == (200, 200)
    assert "Teal Foxglove, " in text_of(whole.text)
    assert "Amber Larkspur, " in text_of(other.text)
    gone = cancelled.headers["location"]
    task = await demo.until(gone, lambda found: found["status"] == "cancelled")
    assert task["status_reason"] == "DISCHARGE_CANCELLED"
    came = await demo.until(
        f"/tasks?patient_key={late.headers['location'].rpartition('/')[2]}",
        lambda found: found["total"] == 3,
    )
    calls = [one for one in came["items"] if one["kind"] == "CALL_48H"]
    assert [one["born_overdue"] for one in calls] == [True]
    assert (silent, slow) == (frozenset({"GEN"}), True)
    assert (controls.silent, controls.slow, controls.over) == (frozenset(), False, True)
    assert "The demo begins again" in text_of(over.text)


async def test_a_worker_that_naps_keeps_nobody_waiting(
    demo: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is not there in time is looked for under My work, not met with break-glass."""
    monkeypatch.setattr("orchestrator.worklist.pages.demo.WAIT_S", 0.0)

    async def unheard(topic: str, key: str | None, value: bytes) -> None:
        del topic, key, value

    monkeypatch.setattr(demo.site.sender, "send", unheard)
    monkeypatch.setattr(demo.site.demo, "late", 100)  # nobody of the test above
    async with demo.browser("demo-rn") as nurse:
        late = await nurse.post("/demo/late")

    assert (late.status_code, late.headers["location"]) == (303, "/work")


async def test_what_is_over_is_no_longer_kept(tmp_path: Path) -> None:
    """After a transition's end the story stays for who has a reason, the contact does not."""
    async with world(tmp_path, patients=1) as made:
        visit = {"visit_number": "V7"}
        opened, left = discharged(7, hours_ago=45 * DAY / HOUR)
        made.send(opened, left)
        key = made.site.key_of("GEN|MRN7")
        made.send(told("discharge.cancelled", visit, ago=44 * 24, number=7))
        await made.until(
            "/changes?limit=500",
            lambda found: any(
                (one.get("transition") or {}).get("status") == "closed" for one in found["items"]
            ),
        )
        who = principal("glass-rn", frozenset({"rn"}), frozenset(), frozenset({"*"}))
        made.people.known["glass-rn"] = who
        made.site.store.grant("glass-rn", key, RealClock().now() + HOUR)
        async with made.browser("glass-rn") as browser:
            page = text_of((await browser.get(f"/patients/{key}")).text)

    assert "Nothing is open; contact details are no longer kept here." in page
    assert "Withdrawn" in page
