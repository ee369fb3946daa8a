"""FHIR R4 out: tasks are found as R4 says, look as R4 says, and fail as R4 says."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from orchestrator.worklist import edge
from orchestrator.worklist.access.roles import principal
from orchestrator.worklist.instants import micros
from tests.worklist.fhir import BASE, R4, ask, faults, following, found, got, post
from tests.worklist.world import ANSWERS, PATIENTS, World, world

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(tmp_path_factory.mktemp("fhir")) as made:
        yield made


async def test_a_task_is_an_r4_task(shared: World) -> None:
    """The same task as by REST, under R4's names; its end is inclusive, as R4 has it."""
    task = await shared.call()
    response = await ask(shared, f"/Task/{task['task_id']}")
    made = response.json()

    assert response.headers["content-type"] == "application/fhir+json"
    assert response.headers["etag"] == f'W/"{task["version"]}"'
    assert (made["resourceType"], made["id"], made["intent"]) == ("Task", task["task_id"], "order")
    assert made["status"] == task["status"]
    assert made["meta"]["versionId"] == str(task["version"])
    assert made["for"] == {"reference": f"Patient/{task['patient_key']}"}
    assert made["statusReason"]["text"] == task["why"]
    end = made["restriction"]["period"]["end"]
    assert micros(end) + 1_000_000 == micros(task["due_at"])


async def test_the_schema_would_notice() -> None:
    """It is the validator that R4's codes and elements are held to, not a formality."""
    good = {"resourceType": "Task", "status": "requested", "intent": "order"}

    assert R4.is_valid(good)
    assert not R4.is_valid({**good, "status": "open"})
    assert not R4.is_valid({**good, "due": "2026-01-01"})


@pytest.mark.parametrize(
    ("params", "number"),
    [
        ({}, 3 * PATIENTS),
        ({"code": "CALL_48H"}, PATIENTS),
        ({"code": "urn:care:task-kind|CALL_48H"}, PATIENTS),
        ({"code": "urn:other|CALL_48H"}, 0),
        ({"code": "CALL_48H,MED_REC"}, 2 * PATIENTS),
        ({"status": "requested"}, 3 * PATIENTS),
        ({"status": "completed"}, 0),
        ({"priority": "routine"}, 3 * PATIENTS),
        ({"priority": "stat,urgent"}, 0),
        ({"performer": "scheduling"}, PATIENTS),
        ({"business-status": "overdue"}, 0),
        ({"authored-on": "ge2020-01-01"}, 3 * PATIENTS),
        ({"authored-on": "lt2020-01-01"}, 0),
        ({"due": "gt2020-01-01T00:00:00Z"}, 3 * PATIENTS),
        ({"_lastUpdated": "le2020-01-01T00:00:00+01:00"}, 0),
        ({"owner": "nobody"}, 0),
    ],
)
async def test_a_search_finds_what_it_asks_for(
    shared: World, params: dict[str, str], number: int
) -> None:
    """Commas mean or, parameters mean and, systems count."""
    assert len(await found(shared, "/Task", **params)) == number


async def test_a_task_is_found_by_what_it_shows(shared: World) -> None:
    """Each of its own values leads back to it."""
    task = await shared.call()
    made = (await ask(shared, f"/Task/{task['task_id']}")).json()
    due = made["restriction"]["period"]["end"]
    for params in (
        {"_id": made["id"]},
        {"identifier": f"urn:care:task|{made['id']}"},
        {"patient": made["for"]["reference"], "code": "CALL_48H"},
        {"subject": made["for"]["reference"].partition("/")[2], "code": "CALL_48H"},
        {"group-identifier": made["groupIdentifier"]["value"], "code": "CALL_48H"},
        {"based-on": made["basedOn"][0]["reference"], "code": "CALL_48H"},
        {"due": due, "_id": made["id"]},
    ):
        assert [one["id"] for one in await found(shared, "/Task", **params)] == [made["id"]], params


async def test_pages_lead_on_until_all_was_seen(shared: World) -> None:
    """`next` is a link that is followed as it stands; each task comes once."""
    seen: list[str] = []
    url: str | None = f"{BASE}/Task?_count=4&_sort=due"
    async with shared.client() as client:
        while url is not None:
            bundle = (await client.get(url)).json()
            assert faults(bundle) == []
            assert bundle["total"] == 3 * PATIENTS
            seen += [entry["resource"]["id"] for entry in bundle["entry"]]
            url = following(bundle)

    assert len(seen) == len(set(seen)) == 3 * PATIENTS


async def test_a_page_runs_out(shared: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a quarter of an hour it is 410: search again, rather than read an old answer on."""
    url = following(await got(shared, "/Task", _count=2))
    assert url is not None
    now = edge.now()
    async with shared.client() as client:
        monkeypatch.setattr(edge, "now", lambda: now + 15 * 60 * 1_000_000 - 5_000_000)
        soon = await client.get(url)
        monkeypatch.setattr(edge, "now", lambda: now + 16 * 60 * 1_000_000)
        late = await client.get(url)

    assert (soon.status_code, late.status_code) == (200, 410)
    assert late.json()["resourceType"] == "OperationOutcome"


async def test_a_page_is_of_its_own_search_alone(shared: World) -> None:
    """Another type, another word, more parameters: 400, never another list."""
    url = following(await got(shared, "/Task", _count=2, code="CALL_48H"))
    assert url is not None
    async with shared.client() as client:
        answers = [
            await client.get(other)
            for other in (
                url.replace("/Task", "/Flag"),
                url[:-4] + "AAAA",
                url + "&code=MED_REC",
                f"{BASE}/Task?_page=x",
            )
        ]
        right = await client.get(url)

    assert [one.status_code for one in answers] == [400] * 4
    assert {e["resource"]["code"]["coding"][0]["code"] for e in right.json()["entry"]} == {
        "CALL_48H"
    }


async def test_patients_come_along_when_asked_for(shared: World) -> None:
    """`_include=Task:patient`: each patient once, marked as included, not counted."""
    response = await ask(shared, "/Task", code="CALL_48H", _include="Task:patient")
    bundle = response.json()
    included = [e["resource"] for e in bundle["entry"] if e["search"]["mode"] == "include"]

    assert bundle["total"] == PATIENTS
    assert {r["resourceType"] for r in included} == {"Patient"}
    assert len({r["id"] for r in included}) == len(included) == PATIENTS
    (one,) = [r for r in included if r["identifier"][0]["value"] == "MRN1"]
    assert (await ask(shared, f"/Patient/{one['id']}")).json() == one


async def test_a_count_is_only_a_number(shared: World) -> None:
    """`_summary=count`: no entry, and R4 has no empty arrays."""
    bundle = (await ask(shared, "/Task", _summary="count")).json()

    assert (bundle["total"], "entry" in bundle) == (3 * PATIENTS, False)


async def test_a_summary_says_that_it_is_one(shared: World) -> None:
    """Each is valid R4, smaller than the whole, and marked as not whole."""
    (whole, *_) = (await got(shared, "/Task"))["entry"]
    sizes = []
    for summary in ("true", "text"):
        (one, *_) = (await got(shared, "/Task", _summary=summary))["entry"]
        assert one["resource"]["meta"]["tag"][0]["code"] == "SUBSETTED"
        sizes.append(len(one["resource"]))
    (data, *_) = (await got(shared, "/Task", _summary="data"))["entry"]

    assert sizes[1] < sizes[0] < len(whole["resource"])
    assert data == whole


async def test_totals_are_told_as_they_are_asked_for(shared: World) -> None:
    """`_total=none` counts nothing."""
    assert "total" not in await got(shared, "/Task", _total="none")
    assert (await got(shared, "/Task", _total="accurate", _count=1))["total"] == 3 * PATIENTS


async def test_no_page_is_longer_than_200(shared: World) -> None:
    """A larger `_count` is taken for 200, none at all for 50, and 0 for a count."""
    from orchestrator.worklist.fhir import search, tasks
    from orchestrator.worklist.model.filters import Where

    def count(*said: tuple[str, str]) -> int:
        made = search.read(tasks.KIND, said, Where(), base=BASE, lenient=False, posted=False)
        return made.count

    assert (count(), count(("_count", "5000")), count(("_count", "7"))) == (50, 200, 7)
    assert "entry" not in await got(shared, "/Task", _count=0)


async def test_a_search_is_posted_where_addresses_are_logged(shared: World) -> None:
    """`_search` takes the same parameters in a form, and nothing else."""
    posted = (await post(shared, "/Task/_search", {"code": "CALL_48H", "_count": "4"})).json()
    async with shared.client() as client:
        as_json = await client.post(f"{BASE}/Task/_search", json={"code": "CALL_48H"})
        rest = (await client.get(following(posted) or "")).json()

    assert (posted["total"], as_json.status_code) == (PATIENTS, 415)
    assert (len(posted["entry"]), len(rest["entry"])) == (4, PATIENTS - 4)


@pytest.mark.parametrize(
    "params",
    [
        {"colour": "magenta"},
        {"status:not": "completed"},
        {"due": "tomorrow"},
        {"due": "ne2026-01-01"},
        {"due": "2026-13-01"},
        {"_count": "many"},
        {"_sort": "colour"},
        {"_include": "Task:owner"},
        {"_summary": "some"},
        {"_page": "x"},
        {"_total": "all"},
        {"_id": ""},
        {"patient": ""},
        {"code": "a\\"},
    ],
)
async def test_what_is_not_understood_is_an_outcome(shared: World, params: dict[str, str]) -> None:
    """400 with an OperationOutcome: a parameter left out would widen the answer."""
    response = await ask(shared, "/Task", **params)
    body = response.json()

    assert response.status_code == 400
    assert body["resourceType"] == "OperationOutcome"
    assert body["issue"][0]["severity"] == "error"
    assert "magenta" not in response.text
    assert "tomorrow" not in response.text


@pytest.mark.parametrize("name", ["_sort", "_count", "_summary", "_total", "_format"])
async def test_what_rules_an_answer_is_said_once(shared: World, name: str) -> None:
    """Of two the last would hold in silence; what is searched by may be said often: all hold."""
    value = {"_sort": "due", "_count": "5", "_summary": "true", "_total": "none"}.get(name, "json")
    for path in ("/Task", "/Task/_search"):
        async with shared.client() as client:
            method = "GET" if path == "/Task" else "POST"
            twice = f"{name}={value}&{name}={value}"
            answer = await client.request(method, f"{BASE}{path}?{twice}")
        assert answer.status_code == 400
        assert name in answer.json()["issue"][0]["details"]["text"]
    both = await found(shared, "/Task?_lastUpdated=gt2001&_lastUpdated=lt2002")

    assert both == []


async def test_who_reads_one_resource_says_the_summary_once(shared: World) -> None:
    """The same rule where there is nothing to be searched."""
    task = await shared.call()
    for path in (
        f"/Task/{task['task_id']}?_summary=true&_summary=false",
        "/metadata?_format=json&_format=json",
        f"/Patient/{task['patient_key']}/$everything?_count=1&_count=2",
    ):
        assert (await ask(shared, path)).status_code == 400, path


async def test_a_name_in_an_address_is_refused_though_it_is_posted(shared: World) -> None:
    """Addresses are logged on the way, whatever the method; in the form it is taken."""
    for said in ("name=Doe", "identifier=GEN|MRN1", "birthdate=1950-01-01"):
        refused = await post(shared, f"/Patient/_search?{said}", {})
        name, _, value = said.partition("=")
        taken = await post(shared, "/Patient/_search?_count=1", {name: value})
        assert (refused.status_code, taken.status_code) == (400, 200), said
        assert value not in refused.text


async def test_another_servers_patient_is_nobody_here(shared: World) -> None:
    """An id means something under its own base alone; ours may be written out."""
    task = await shared.call()
    key = task["patient_key"]
    ours = [await found(shared, "/Task", patient=f"{base}{key}") for base in (
        "", "Patient/", f"{BASE}/Patient/"
    )]  # fmt: skip
    theirs = [
        await found(shared, "/Task", **{name: f"{base}Patient/{key}"})
        for base in ("https://other.example/fhir/", "http://test/", "other/")
        for name in ("patient", "subject")
    ]
    plan = f"CarePlan/{task['transition_id']}"
    plans = [
        len(await found(shared, "/Task", **{"based-on": f"{base}{plan}"}))
        for base in ("", f"{BASE}/", "https://other.example/fhir/")
    ]

    assert ours[0]
    assert ours == [ours[0]] * 3
    assert theirs == [[]] * 6
    assert (plans[0] > 0, plans[1], plans[2]) == (True, plans[0], 0)


async def test_an_unknown_parameter_is_named_without_its_value(shared: World) -> None:
    """By its name where that is a plain word: others may hold anything."""
    plain = await ask(shared, "/Task", foo="magenta")
    odd = await ask(shared, "/Task", **{"Lopez, Ana": "magenta"})

    said = [one.json()["issue"][0]["details"]["text"] for one in (plain, odd)]
    assert said == [f"The parameter {name} is not understood so." for name in ("foo", "?")]
    assert "magenta" not in plain.text + odd.text


async def test_a_lenient_client_may_ask_for_what_we_do_not_know(shared: World) -> None:
    """`Prefer: handling=lenient`, said by the client itself."""
    async with shared.client() as client:
        response = await client.get(
            "http://test/fhir/Task?colour=red", headers={"Prefer": "handling=lenient"}
        )

    assert response.json()["total"] == 3 * PATIENTS


@pytest.mark.parametrize(
    ("path", "token", "status", "code"),
    [
        ("/Task/none", "demo-rn", 404, "not-found"),
        ("/Patient/" + "0" * 32, "demo-rn", 404, "not-found"),
        ("/Task", None, 401, "login"),
        ("/Task", "demo-operator", 403, "forbidden"),
        ("/Observation", "demo-rn", 404, "not-found"),
    ],
)
async def test_every_refusal_is_an_outcome(
    shared: World, path: str, token: str | None, status: int, code: str
) -> None:
    """A FHIR client reads OperationOutcome, whatever went wrong."""
    response = await ask(shared, path, token)

    assert response.status_code == status
    assert response.headers["content-type"] == "application/fhir+json"
    assert response.json()["issue"][0]["code"] == code


async def test_tasks_are_not_made_or_deleted(shared: World) -> None:
    """Rules make tasks: 405, with the methods that there are."""
    async with shared.client() as client:
        made = await client.post(f"{BASE}/Task", json={"resourceType": "Task"})
        gone = await client.delete(f"{BASE}/Task/x")

    assert (made.status_code, gone.status_code) == (405, 405)
    assert made.headers["allow"] == "GET, HEAD"
    assert gone.headers["allow"] == "GET, HEAD, PATCH, PUT"
    assert made.json()["resourceType"] == gone.json()["resourceType"] == "OperationOutcome"


async def test_what_the_caller_has_already_is_not_sent_again(shared: World) -> None:
    """304 by version or by date; another version is sent."""
    task = await shared.call()
    url = f"{BASE}/Task/{task['task_id']}"
    async with shared.client() as client:
        first = await client.get(url)
        tag, since = first.headers["etag"], first.headers["last-modified"]
        same = [
            (await client.get(url, headers=headers)).status_code
            for headers in (
                {"If-None-Match": tag},
                {"If-None-Match": f'"x", {tag}'},
                {"If-None-Match": "*"},
                {"If-Modified-Since": since},
                {"If-None-Match": 'W/"999"'},
                {"If-Modified-Since": "Mon, 01 Jan 2024 00:00:00 GMT"},
                {"If-Modified-Since": "yesterday"},
            )
        ]

    assert same == [304, 304, 304, 304, 200, 200, 200]


async def test_head_is_get_without_what_it_shows(shared: World) -> None:
    """Status and headers alone, audited as the reading that it is."""
    task = await shared.call()
    before = len(shared.audit())
    async with shared.client() as client:
        whole = await client.get(f"{BASE}/Task/{task['task_id']}")
        head = await client.head(f"{BASE}/Task/{task['task_id']}")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == whole.headers["etag"]
    assert len(shared.audit()) == before + 2


@pytest.mark.parametrize(
    ("accept", "params", "status"),
    [
        ("application/fhir+json", {}, 200),
        ("application/json", {}, 200),
        ("*/*", {}, 200),
        ("application/fhir+xml", {}, 406),
        ("text/html", {}, 406),
        ("text/html", {"_format": "json"}, 200),
        ("application/fhir+json", {"_format": "xml"}, 406),
        ("application/fhir+json", {"_format": "application/fhir+json"}, 200),
    ],
)
@pytest.mark.parametrize("path", ["/Task", "/metadata"])
async def test_json_is_all_that_is_written(
    shared: World, path: str, accept: str, params: dict[str, str], status: int
) -> None:
    """`_format` has the last word over `Accept`; what is not written is 406."""
    async with shared.client() as client:
        response = await client.get(BASE + path, params=params, headers={"Accept": accept})

    assert response.status_code == status


async def test_addresses_are_those_that_the_caller_used(shared: World) -> None:
    """Whole addresses, as R4 has it, under the name by which the caller knows this server."""
    task = await shared.call()
    async with shared.client() as client:
        response = await client.get(
            f"{BASE}/Task", params={"_id": task["task_id"]}, headers={"Host": "care.example:8443"}
        )
        wrong = await client.get(f"{BASE}/Task", headers={"Host": "care.example/<b>"})
    (entry,) = response.json()["entry"]

    assert entry["fullUrl"] == f"http://care.example:8443/fhir/Task/{task['task_id']}"
    assert wrong.status_code == 400


async def test_everything_written_is_valid_r4(shared: World) -> None:
    """The official schema takes each resource, in each view, and each refusal."""
    await shared.act(await shared.call(), "accept")
    task = await shared.call()
    done = {"outcome": "ok", "reached": "patient", "answers": ANSWERS}
    await shared.act(task, "complete", done)
    shared.people.known["hidden"] = principal(
        "hidden", frozenset({"supervisor"}), frozenset(), frozenset({"*"}), view="pseudonymous"
    )
    for token in ("demo-supervisor", "demo-scheduler", "hidden"):
        for path in ("/Task?_include=Task:patient", "/Task?_summary=count", "/Task?colour=x"):
            assert faults((await ask(shared, path, token)).json()) == [], path
