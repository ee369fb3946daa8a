"""My work and the task as HTML, asked as a browser without script asks: links and forms alone."""

import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import httpx
import pytest
import pytest_asyncio

from orchestrator.core.instants import written
from orchestrator.stream.clock import RealClock
from orchestrator.worklist.access.roles import principal
from orchestrator.worklist.pages.reporting import SENT_TO
from orchestrator.worklist.pages.store import VIEWS_MAX, PagesStore
from tests.worklist.world import ANSWERS, World, discharged, world

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCRIPT = {f"answer-{name}": value for name, value in ANSWERS.items()}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A dozen patients of two hospitals, one of them told three days late."""
    async with world(tmp_path_factory.mktemp("work"), patients=12) as made:
        made.send(*discharged(40, hours_ago=75))
        await made.until("/tasks?kind=CALL_48H&born_overdue=true", lambda found: found["total"])
        yield made


def shown(response: httpx.Response) -> list[str]:
    """The tasks of a page, from above."""
    return re.findall(r'data-task="([^"]+)"', response.text)


def words(response: httpx.Response) -> str:
    """The text of a page without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", response.text)).split())


async def page(made: World, path: str, actor: str = "demo-rn") -> httpx.Response:
    async with made.browser(actor) as browser:
        response = await browser.get(path)
    assert response.status_code == 200, response.text
    return response


async def test_groups_and_counts_are_true_for_the_filter(shared: World) -> None:
    """Each task of the queue once, in its group; a late one is never among the overdue."""
    response = await page(shared, "/work?kind=CALL_48H")
    told = await shared.get("/tasks", "demo-rn", kind="CALL_48H", status="requested", limit=500)
    assert len(shown(response)) == len(set(shown(response))) == told["total"] == 13
    text = words(response)
    assert "Arrived late (1)" in text, text
    assert "GEN told us" not in text
    assert "MID told us 75 h after the discharge. A call is still worth making." in text
    assert "Overdue (" not in text


async def test_owner_tabs_count_what_they_lead_to(shared: World) -> None:
    """`Mine`, `Unowned` and `All`, with the other filters as they are."""
    text = words(await page(shared, "/work?kind=MED_REC&facility=GEN"))
    found = re.search(r"Mine (\d+) Unowned (\d+) All (\d+)", text)
    assert found is not None
    told = await shared.get("/tasks", "demo-rn", kind="MED_REC", facility="GEN")
    assert int(found[3]) == told["total"]
    assert len(shown(await page(shared, "/work?kind=MED_REC&facility=GEN&owner=none"))) == int(
        found[2]
    )


async def test_pages_follow_each_other_without_a_hole(shared: World) -> None:
    """Page by page each task once, whatever its group."""
    shared.send(*(told for n in range(60, 110) for told in discharged(n)))
    await shared.until("/tasks?kind=CALL_48H", lambda found: found["total"] == 63)
    seen: list[str] = []
    path: str | None = "/work?kind=CALL_48H"
    pages = 0
    while path is not None:
        response = await page(shared, path)
        assert len(shown(response)) <= 50
        seen += shown(response)
        following = re.search(r'<a href="([^"]+)" rel="next">', response.text)
        path = unescape(following[1]) if following else None
        pages += 1
    assert pages == 2
    assert len(seen) == len(set(seen)) == 63


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("?flag=AMA", "No task matches these filters. Clear filters"),
        ("?kind=CALL_48H&facility=NONE", "No task matches these filters. Clear filters"),
    ],
)
async def test_an_empty_list_says_which_kind_of_empty(shared: World, query: str, text: str) -> None:
    assert text in words(await page(shared, f"/work{query}"))


async def test_nothing_due_and_no_team_are_told_apart(shared: World) -> None:
    for name, teams in (("idle", {"social-work"}), ("new", set())):
        shared.people.known[name] = principal(
            name, frozenset({"rn"}), frozenset(teams), frozenset({"*"})
        )
    idle = words(await page(shared, "/work", "idle"))
    assert "Nothing due for social-work. Last discharge received" in idle
    assert "You have no team yet; a supervisor must add you." in words(
        await page(shared, "/work", "new")
    )


async def test_a_filter_that_is_not_one_is_refused(shared: World) -> None:
    """A misspelt filter must not widen a list of patients."""
    async with shared.browser("demo-rn") as browser:
        for query in ("?kindd=CALL_48H", "?kind=CALL", "?due_before=tomorrow", "?cursor=abc"):
            assert (await browser.get(f"/work{query}")).status_code in (400, 422), query


async def test_due_before_is_local(shared: World) -> None:
    """The field has no zone: it is the usual one's."""
    everything = shown(await page(shared, "/work?kind=CALL_48H&due_before=2999-01-01T00:00"))
    assert len(everything) == 50
    assert shown(await page(shared, "/work?kind=CALL_48H&due_before=2000-01-01T00:00")) == []


async def test_views_are_saved_per_person(shared: World) -> None:
    """By name; nobody else sees them, and they can be removed."""
    async with shared.browser("demo-rn") as browser:
        saved = await browser.post("/work/view", name="Calls", query="kind=CALL_48H&owner=none")
        assert saved.headers["location"] == "/work?kind=CALL_48H&owner=none"
        assert (
            '<a href="/work?kind=CALL_48H&amp;owner=none">Calls</a>'
            in (await browser.get("/work")).text
        )
    assert ">Calls</a>" not in (await page(shared, "/work", "demo-pharmacist")).text
    async with shared.browser("demo-rn") as browser:
        await browser.post("/work/view", name="Calls", do="drop")
        assert ">Calls</a>" not in (await browser.get("/work")).text


async def test_saved_views_are_bounded(tmp_path: Any) -> None:
    store = PagesStore(tmp_path)
    assert all(store.save_view("a", f"v{number}", "") for number in range(VIEWS_MAX))
    assert not store.save_view("a", "one more", "")
    assert store.save_view("a", "v1", "changed")
    store.close()


async def test_accepting_can_be_undone(shared: World) -> None:
    """The next page offers it; after it the task is nobody's again."""
    task = (await shared.call(owner="none"))["task_id"]
    async with shared.browser("demo-rn") as browser:
        await browser.post(f"/tasks/{task}/accept", version="1", key="undo-1", back="/work")
        response = await browser.get("/work")
        assert "Accepted." in words(response)
        offered = response.text.partition("Accepted.")[2].partition("</form>")[0]
        hidden = r'<input type="hidden" name="(\w+)" value="([^"]*)">'
        fields = dict(re.findall(hidden, offered))
        fields.pop("csrf")
        told = await browser.post(f"/tasks/{task}/release", **fields)
        assert told.status_code == 303
        assert "Accepted." not in words(await browser.get("/work"))
    assert (await shared.get(f"/tasks/{task}", "demo-rn"))["owner"] is None


async def test_a_second_click_does_nothing_twice(shared: World) -> None:
    """The same form again is the same action; another person reads who was faster."""
    found = await shared.call(owner="none")
    task, version = found["task_id"], found["version"]
    form = {"version": str(version), "key": "twice", "back": "/work"}
    async with shared.browser("demo-rn") as browser:
        for _ in range(2):
            await browser.post(f"/tasks/{task}/accept", **form)
            assert "Accepted." in words(await browser.get("/work"))
    async with shared.browser("demo-supervisor") as other:
        await other.post(f"/tasks/{task}/accept", **form)
        assert re.search(r"Taken by someone else at \d\d:\d\d\.", words(await other.get("/work")))
    assert (await shared.get(f"/tasks/{task}", "demo-rn"))["version"] == version + 1


async def test_a_stale_form_asks_again_and_keeps_what_was_typed(shared: World) -> None:
    """412: the words stay, what changed is said, and `Save anyway` sends the new version."""
    task = await shared.call(owner="none")
    assert (await shared.act(task, "accept", token="demo-rn", key="stale")).status_code == 200
    form = {"do": "complete", "reached": "patient", "note": "All <well>", **SCRIPT}
    async with shared.browser("demo-rn") as browser:
        path = f"/tasks/{task['task_id']}/report"
        response = await browser.post(path, version="1", key="stale-1", **form)
        assert response.status_code == 412
        assert "Changed while you wrote:" in words(response)
        assert "All &lt;well&gt;</textarea>" in response.text
        assert "Save anyway" in response.text
        version = re.search(r'id="version" name="version" value="(\d+)"', response.text)
        assert version is not None
        told = await browser.post(path, version=version[1], key="stale-2", **form)
        assert told.status_code == 303
        assert "Done." in words(await browser.get(told.headers["location"]))


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"reached": "voicemail", **SCRIPT}, "Nobody was reached. This counts as an attempt."),
        ({"reached": "bot", **SCRIPT}, "Nobody was reached. This counts as an attempt."),
        (
            {"reached": "patient", **SCRIPT, "answer-medicines": "", "answer-symptoms": ""},
            "Two answers are missing: medicines, symptoms. This counts as an attempt.",
        ),
        ({**SCRIPT}, "Choose whom you reached, or that nobody answered."),
    ],
)
async def test_what_is_no_contact_is_not_completed_unasked(
    shared: World, more: dict[str, str], told: str
) -> None:
    task = await shared.call(owner="none")
    async with shared.browser("demo-rn") as browser:
        path = f"/tasks/{task['task_id']}/report"
        response = await browser.post(path, do="complete", version="1", key="short", **more)
    assert response.status_code == 422
    assert told in words(response)
    if "counts as" in told:
        assert f"{told} Nothing is saved yet. Go back Log attempt" in words(response)
    assert (await shared.get(f"/tasks/{task['task_id']}", "demo-rn"))["version"] == 1


async def test_where_a_form_is_sent_to_leads_to_its_page(shared: World) -> None:
    """Asked for as an address, as a browser does of a page that was sent back."""
    task = (await shared.call(owner="none"))["task_id"]
    async with shared.browser("demo-rn") as browser:
        for name in SENT_TO:
            told = await browser.get(f"/tasks/{task}/{name}")
            assert (told.status_code, told.headers["location"]) == (303, f"/tasks/{task}"), name


async def test_a_finished_call_says_what_was_answered(shared: World) -> None:
    """As text, with a way back: no form, no number, nothing that looks like work."""
    task = (await shared.call(owner="none"))["task_id"]
    form = {"do": "complete", "reached": "patient", "note": "All <well>", **SCRIPT}
    async with shared.browser("demo-rn") as browser:
        told = await browser.post(f"/tasks/{task}/report", version="1", key="finished", **form)
        assert told.status_code == 303
        # What a browser still had to keep comes late.
        await browser.post(f"/tasks/{task}/draft", **form)
    response = await page(shared, f"/tasks/{task}")
    text = words(response)
    assert "What was answered Reached Patient Understands why admitted Yes" in text
    assert "Note All <well>" in text
    assert "Back to My work" in text
    assert 'id="report"' not in response.text
    assert "Close without calling" not in text
    assert '<p class="phone">' not in response.text
    assert "<dt>Phone</dt>" not in response.text


async def test_a_red_flag_says_by_when_a_clinician_calls(shared: World) -> None:
    """The hour is that of the task that follows from it."""
    task = await shared.call(owner="none")
    async with shared.browser("demo-rn") as browser:
        said = {**SCRIPT, "answer-symptoms": "chest-pain"}
        path = f"/tasks/{task['task_id']}/report"
        told = await browser.post(
            path, do="complete", version="1", key="red", reached="patient", **said
        )
        assert told.status_code == 303
        text = words(await browser.get(told.headers["location"]))
    assert re.search(r"Saved\. A clinician is asked to call by \d\d:\d\d\.", text)
    assert "Urgent (1)" in text


async def test_cannot_be_done_goes_back_to_the_queue(shared: World) -> None:
    """With a reason; without one it asks for it."""
    task = await shared.call(owner="none")
    assert (await shared.act(task, "accept", token="demo-rn", key="reject")).status_code == 200
    async with shared.browser("demo-rn") as browser:
        path = f"/tasks/{task['task_id']}/reject"
        asked = await browser.post(path, version="2", key="no-1")
        assert asked.status_code == 422
        assert "Choose why it cannot be done." in words(asked)
        told = await browser.post(path, version="2", key="no-2", reason="wrong-number")
        assert told.status_code == 303
        assert "Given back to the queue; a supervisor is told." in words(await browser.get("/work"))
    found = await shared.get(f"/tasks/{task['task_id']}", "demo-rn")
    assert (found["status"], found["owner"]) == ("requested", None)


async def test_a_note_of_one_is_read_by_the_next(shared: World) -> None:
    task = await shared.call(owner="none")
    async with shared.browser("demo-rn") as browser:
        path = f"/tasks/{task['task_id']}/report"
        await browser.post(path, do="note", version="1", key="note", note="Ring twice")
    other = await page(shared, f"/tasks/{task['task_id']}", "demo-supervisor")
    assert "“Ring twice” (demo-rn)" in words(other)


async def test_many_at_once_are_a_supervisors(shared: World) -> None:
    """Accept, release and reassign many; each judged for itself, the result in one sentence."""
    found = await shared.get("/tasks", kind="MED_REC", status="requested", limit=3)
    items = [f"{one['task_id']}:{one['version']}" for one in found["items"]]
    async with shared.browser("demo-supervisor") as browser:
        path, back = "/work/bulk", "/work"
        await browser.post(path, action="accept", item=items, key="b1", back=back)
        assert "3 accepted." in words(await browser.get("/work"))
        again = [*items[:1], items[1].replace(":1", ":2")]
        await browser.post(path, action="release", item=again, key="b2", back=back)
        text = words(await browser.get("/work"))
        assert "1 released. 1 not:" in text
        await browser.post(path, action="reassign", item=items[:1], key="b3", back=back)
        assert "Choose to whom to reassign." in words(await browser.get("/work"))
        await browser.post(path, action="accept", key="b4", back=back)
        assert "Nothing was selected." in words(await browser.get("/work"))
    async with shared.browser("demo-rn") as nurse:
        refused = await nurse.post("/work/bulk", action="accept", item=items, key="b5")
        assert refused.status_code == 403


async def test_load_is_for_supervisors(shared: World) -> None:
    """Per person and for nobody: open, overdue, due in four hours."""
    assert "Due in 4 h" in words(await page(shared, "/work", "demo-supervisor"))
    assert "Due in 4 h" not in words(await page(shared, "/work"))


async def test_a_page_names_no_patient_where_names_are_kept(shared: World) -> None:
    """Not in the title, the address, or a header."""
    task = await shared.call(owner="none")
    subject = task["patient"]
    now = RealClock().now()
    shared.send(
        {
            "specversion": "1.0",
            "id": f"named-{now}",
            "source": "hospital/adt",
            "type": "care.patient.updated.v1",
            "time": written(now),
            "subject": subject,
            "facility": task["facility"],
            "data": {"name": "Canary Kestrel", "phones": ["202-555-0177"]},
        }
    )
    path = f"/tasks/{task['task_id']}"
    await shared.until(path, lambda found: (found["contact"] or {}).get("name"))
    response = await page(shared, path)
    assert "Canary Kestrel" in words(response)
    title = re.search(r"<title>(.*?)</title>", response.text)
    assert title is not None
    assert "Kestrel" not in title[1]
    assert "Kestrel" not in str(response.headers)
    assert "Kestrel" not in "".join(re.findall(r'(?:href|action|connect)="([^"]*)"', response.text))


async def test_printing_a_list_is_an_export(shared: World) -> None:
    """For who may take lists away, and recorded as that."""
    await page(shared, "/work/print?kind=CALL_48H", "demo-supervisor")
    assert shared.audit()[-1]["action"] == "export"
    async with shared.browser("demo-rn") as nurse:
        assert (await nurse.get("/work/print")).status_code == 403


async def test_what_is_looked_at_is_recorded(shared: World) -> None:
    """The list and the task, with the patients that were on the page."""
    task = await shared.call()
    await page(shared, f"/tasks/{task['task_id']}")
    record = shared.audit()[-1]
    assert (record["action"], record["actor"], record["outcome"]) == ("read", "demo-rn", "success")
    assert f"task/{task['task_id']}" in record["objects"]
    assert task["patient_key"] in record["patient_keys"]


async def test_the_budget_of_bytes(shared: World) -> None:
    """First visit at most 60 KB packed, later pages 25; 50 rows at most 150 KB raw."""
    async with shared.browser("demo-supervisor") as browser:
        response = await browser.get("/work?kind=CALL_48H")
        packed = int(response.headers["content-length"])
        files = re.findall(r'(?:src|href)="(/static/[^"]+)"', response.text)
        assert len(files) == 3
        for path in files:
            one = await browser.get(path)
            assert one.status_code == 200
            assert "immutable" in one.headers["cache-control"]
            packed += int(one.headers["content-length"])
            again = await browser.get(path, **{"If-None-Match": one.headers["etag"]})
            assert again.status_code == 304
    assert len(shown(response)) == 50
    assert int(response.headers["content-length"]) <= 25_000
    assert len(response.content) <= 150_000
    assert packed <= 60_000


async def test_a_page_has_one_script_and_nothing_inline(shared: World) -> None:
    """What the content security policy forbids is not tried."""
    for path in ("/work", f"/tasks/{(await shared.call())['task_id']}", "/keys"):
        text = (await page(shared, path)).text
        assert len(re.findall(r"<script", text)) == 1
        assert re.findall(r"<script(?![^>]*\ssrc=)", text) == []
        assert re.findall(r"<style|\sstyle=|\son\w+=", text) == []


async def test_what_a_patients_hours_forbid_is_filtered(shared: World) -> None:
    """`Call window open now`: by the hours that a patient has said."""
    tasks = (await shared.get("/tasks", kind="CALL_48H", status="requested", limit=2))["items"]
    now = RealClock().now()
    for number, (task, hours) in enumerate(
        zip(
            tasks, ({"from": "00:00", "to": "24:00"}, {"from": "00:00", "to": "00:01"}), strict=True
        )
    ):
        shared.send(
            {
                "specversion": "1.0",
                "id": f"hours-{number}-{now}",
                "source": "hospital/adt",
                "type": "care.patient.preference_changed.v1",
                "time": written(now),
                "subject": task["patient"],
                "facility": task["facility"],
                "data": {"outreach": "accept", "hours": hours},
            }
        )
        path = f"/tasks/{task['task_id']}"
        await shared.until(path, lambda found: (found["contact"] or {}).get("preferences"))
    at_all_hours, never = (task["task_id"] for task in tasks)
    listed = [
        row
        for after in ("", "&owner=none")
        for row in shown(await page(shared, f"/work?kind=CALL_48H&call_now=on{after}"))
    ]
    assert never not in listed
    # The one may be on a later page only where the usual window is open for all the others.
    assert at_all_hours in listed or len(listed) >= 50


async def test_what_is_stored_but_not_here_yet_says_so(shared: World) -> None:
    """The deciding process is slow: the row keeps the mark until the change has come."""
    task = await shared.call(owner="none")
    site, usual = shared.site, shared.site.action_wait
    site.action_wait = 0.0
    try:
        async with shared.browser("demo-rn") as browser:
            version = str(task["version"])
            path = f"/tasks/{task['task_id']}/accept"
            await browser.post(path, version=version, key="slow", back="/work")
            assert "Saved. It will show when the system has caught up." in words(
                await browser.get("/work?owner=idle")
            )
    finally:
        site.action_wait = usual
    await shared.until(f"/tasks/{task['task_id']}", lambda one: one["owner"] == "demo-rn")
    text = words(await page(shared, f"/tasks/{task['task_id']}"))
    assert "when the system has caught up" not in text
    assert "Accepted, yours" in text
