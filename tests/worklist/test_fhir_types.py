"""The other types at /fhir: patients, flags, issues, plans, the audit, everything of one."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import orjson
import pytest
import pytest_asyncio

from orchestrator.core.instants import HOUR, written
from orchestrator.stream.clock import RealClock
from orchestrator.stream.sqlite_log import Log
from orchestrator.worklist.access.roles import principal
from orchestrator.worklist.app import Envelope
from orchestrator.worklist.fhir.gaps import MEDICATION
from orchestrator.worklist.fhir.kinds import KINDS
from orchestrator.worklist.instants import micros
from tests.worklist.fhir import BASE, ask, faults, following, found, got, post
from tests.worklist.world import PATIENTS, World, world

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANN: Final = "GEN|MRN1"
MEDICINE: Final = "warfarin"
MINIMAL: Final = "minimal"
WAIT_S: Final = 90.0  # a guard, not a promise


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A worklist with one patient who is known by name, and gaps of medication."""
    async with world(tmp_path_factory.mktemp("fhir")) as made:
        made.send(_ann())
        await _until(made, "/Patient/_search", {"name": "Muster"}, 1)
        await _medication_gaps(made)
        made.people.known[MINIMAL] = principal(
            MINIMAL,
            frozenset({"supervisor"}),
            frozenset(),
            frozenset({"*"}),
            view="minimal",
        )
        yield made


def _ann() -> dict[str, Any]:
    person = {
        "name": {"family": "Muster", "given": "Ann Maria"},
        "birth_date": "1950-03-02",
        "phones": ["555-0100"],
        "language": "en",
        "caregivers": [{"name": "Bob Muster", "relation": "son", "phone": "555-0101"}],
    }
    return {
        "specversion": "1.0",
        "id": "ann",
        "source": "hospital/GEN/adt",
        "type": "care.patient.updated.v1",
        "time": written(RealClock().now() - HOUR),
        "subject": ANN,
        "facility": "GEN",
        "data": person,
    }


async def _until(made: World, path: str, form: dict[str, str], total: int) -> None:
    end = time.monotonic() + WAIT_S
    while (await post(made, path, form)).json()["total"] != total:
        assert time.monotonic() < end, "never came to be so"
        await asyncio.sleep(0.05)


async def _medication_gaps(made: World) -> None:
    """One of each state, as the deciding process would publish them."""
    (like, *_) = (await made.get("/gaps", facility="GEN"))["items"]
    own = {name: like[name] for name in like if name not in ("why", "hidden", "contact")}
    states: list[dict[str, Any]] = [
        {"status": "open", "closed_at": None, "close_reason": None},
        {"status": "closed", "closed_at": own["opened_at"], "close_reason": "RESOLVED"},
        {"status": "closed", "closed_at": own["opened_at"], "close_reason": "RETRACTED"},
    ]
    with Log.open(made.folder) as log:
        for number, state in enumerate(states):
            gap = {
                **own,
                **state,
                "gap_id": f"med-{number}",
                "code": "MED_HIGH_ALERT",
                "severity": "critical",
                "subject": MEDICINE,
                "evidence": {"left": MEDICINE},
            }
            log.append("care.gap.v1", gap["gap_id"], orjson.dumps(gap))
    await _until(made, "/DetectedIssue/_search", {}, len(states))


async def key_of_ann(made: World) -> str:
    answer = await post(made, "/Patient/_search", {"identifier": f"urn:care:authority:{ANN}"})
    (entry,) = answer.json()["entry"]
    key: str = entry["resource"]["id"]
    return key


# Patients


@pytest.mark.parametrize(
    ("form", "number"),
    [
        ({"identifier": f"urn:care:authority:{ANN}"}, 1),
        ({"identifier": ANN}, 1),
        ({"identifier": "MRN1"}, 1),
        ({"identifier": "GEN|MRN2"}, 0),
        ({"name": "muster"}, 1),
        ({"name": "Must", "birthdate": "1950-03-02"}, 1),
        ({"name": "ann maria muster"}, 1),
        ({"name": "uster"}, 0),
        ({"name": "mu%"}, 0),
        ({"name": "nobody,Muster"}, 1),
        ({"birthdate": "1950"}, 1),
        ({"birthdate": "lt1950-03-02"}, 0),
        ({"birthdate": "le1950-03-02"}, 1),
        ({"birthdate": "ge1950-03"}, 1),
        ({"birthdate": "gt1950"}, 0),
        ({"birthdate": "1950-03-02", "name": "Other"}, 0),
        ({}, PATIENTS),
    ],
)
async def test_a_patient_is_found_by_a_form(
    shared: World, form: dict[str, str], number: int
) -> None:
    """By identifier, beginnings of names, birth date; what is said repeatedly must all hold."""
    answer = await post(shared, "/Patient/_search", form)

    assert answer.status_code == 200, answer.text
    assert faults(answer.json()) == []
    assert answer.json()["total"] == number


@pytest.mark.parametrize("name", ["identifier", "name", "birthdate"])
async def test_no_address_names_a_person(shared: World, name: str) -> None:
    """400 in an address, where they would be logged; and no link that is given names one."""
    value = {"identifier": ANN, "name": "Muster", "birthdate": "1950-03-02"}[name]
    refused = await ask(shared, "/Patient", **{name: value})
    lenient = await ask_lenient(shared, f"/Patient?{name}=x")
    posted = await post(shared, "/Patient/_search", {name: value, "_count": "1"})

    assert (refused.status_code, lenient.status_code) == (400, 400)
    assert value not in refused.text
    assert value not in str(posted.json()["link"])


async def ask_lenient(made: World, path: str) -> httpx.Response:
    async with made.client() as client:
        return await client.get(BASE + path, headers={"Prefer": "handling=lenient"})


async def test_a_posted_search_has_pages_like_any(shared: World) -> None:
    """The sealed link goes on with what was said in the form, and shows nothing of it."""
    bundle = (await post(shared, "/Patient/_search", {"birthdate": "ge1900", "_count": "1"})).json()
    everybody = (await post(shared, "/Patient/_search", {"_count": "4"})).json()
    async with shared.client() as client:
        rest = (await client.get(following(everybody) or "")).json()

    assert bundle["total"] == len(bundle["entry"]) == 1
    assert len(everybody["entry"]) + len(rest["entry"]) == PATIENTS
    assert "1900" not in str(bundle["link"])


async def test_a_patient_is_an_r4_patient(shared: World) -> None:
    """Name, birth date, phones, next of kin and language, as R4 has them."""
    key = await key_of_ann(shared)
    made = await got(shared, f"/Patient/{key}")

    assert made["identifier"] == [{"system": "urn:care:authority:GEN", "value": "MRN1"}]
    assert made["name"] == [{"family": "Muster", "given": ["Ann Maria"]}]
    assert (made["birthDate"], made["telecom"][0]["value"]) == ("1950-03-02", "555-0100")
    assert made["contact"][0]["telecom"] == [{"system": "phone", "value": "555-0101"}]
    assert made["communication"][0]["language"]["coding"][0]["code"] == "en"


async def test_who_may_not_know_a_patient_finds_none(shared: World) -> None:
    """Another facility finds nobody; a view without names may not even ask by one."""
    shared.people.known["mid"] = principal(
        "mid", frozenset({"supervisor"}), frozenset(), frozenset({"MID"})
    )
    shared.people.known["blind"] = principal(
        "blind", frozenset({"supervisor"}), frozenset(), frozenset({"*"}), view="pseudonymous"
    )
    key = await key_of_ann(shared)
    elsewhere = await post(shared, "/Patient/_search", {"identifier": ANN}, "mid")
    blind = await post(shared, "/Patient/_search", {"identifier": ANN}, "blind")

    assert elsewhere.json()["total"] == 0
    assert blind.status_code == 403
    assert (await ask(shared, f"/Patient/{key}", "mid")).status_code == 404
    assert await got(shared, f"/Patient/{key}", "blind") == {
        "resourceType": "Patient",
        "id": key,
        "active": True,
        "meta": (await got(shared, f"/Patient/{key}", "blind"))["meta"],
    }


async def test_a_retired_key_leads_to_the_survivor(shared: World) -> None:
    """307, as everywhere; a search by the old key finds what is of the patient now."""
    first, second = f"GEN|MRN{PATIENTS + 1}", f"GEN|MRN{PATIENTS + 3}"
    from tests.worklist.world import discharged

    shared.send(*discharged(PATIENTS + 1), *discharged(PATIENTS + 3))
    for subject in (first, second):
        await _until(shared, "/Patient/_search", {"identifier": subject}, 1)
    retired = (await post(shared, "/Patient/_search", {"identifier": second})).json()
    old = retired["entry"][0]["resource"]["id"]
    merge = {**_ann(), "id": "merge", "type": "care.patient.merged.v1", "subject": first}
    shared.send({**merge, "data": {"retired": second}})
    end = time.monotonic() + WAIT_S
    while (response := await ask(shared, f"/Patient/{old}")).status_code != 307:
        assert time.monotonic() < end, response.text
        await asyncio.sleep(0.05)
    now = response.headers["location"].rpartition("/")[2]

    assert now != old
    assert (await ask(shared, f"/Patient/{old}/$everything")).status_code == 307
    assert (await post(shared, "/Patient/_search", {"identifier": second})).json()["entry"][0][
        "resource"
    ]["id"] == now
    assert await found(shared, "/Task", patient=old) == await found(shared, "/Task", patient=now)
    assert await found(shared, "/Task", patient=now)
    for path in ("/tasks", "/gaps"):
        old_way, new_way = [await shared.get(path, patient_key=key) for key in (old, now)]
        assert old_way["items"] == new_way["items"]
        assert old_way["items"]


# Gaps


async def test_every_gap_is_a_flag(shared: World) -> None:
    """As many as by the API; open ones active, ended ones not, retracted ones in error."""
    gaps = await shared.get("/gaps", limit=500)
    flags = await found(shared, "/Flag", _count=200)
    status = {flag["id"]: flag["status"] for flag in flags}

    assert {gap["gap_id"] for gap in gaps["items"]} == set(status)
    assert (status["med-0"], status["med-1"], status["med-2"]) == (
        "active",
        "inactive",
        "entered-in-error",
    )
    for code in ("active", "inactive", "entered-in-error"):
        by_status = await found(shared, "/Flag", status=code, _count=200)
        assert {one["id"] for one in by_status} == {i for i, s in status.items() if s == code}


async def test_medication_gaps_are_detected_issues_too(shared: World) -> None:
    """With the same identifier; what ended them is R4's mitigation."""
    issues = {one["id"]: one for one in await found(shared, "/DetectedIssue")}
    codes = {one["code"]["coding"][0]["code"] for one in issues.values()}
    flag = await got(shared, "/Flag/med-0")

    assert set(issues) == {"med-0", "med-1", "med-2"}
    assert codes <= set(MEDICATION)
    assert issues["med-0"]["identifier"] == flag["identifier"]
    assert (issues["med-0"]["severity"], issues["med-0"]["status"]) == ("high", "final")
    assert "mitigation" not in issues["med-0"]
    assert issues["med-1"]["mitigation"][0]["action"]["coding"][0]["code"] == "RESOLVED"
    assert issues["med-2"]["status"] == "entered-in-error"
    assert issues["med-0"]["implicated"] == [{"display": MEDICINE}]
    for one in [i for i in (await found(shared, "/Flag", _count=200)) if i["id"] not in issues]:
        assert (await ask(shared, f"/DetectedIssue/{one['id']}")).status_code == 404


async def test_a_view_without_medicines_names_none(shared: World) -> None:
    """The minimal view learns that lists disagree, not about what; nor by the API."""
    told = [
        await got(shared, path, MINIMAL)
        for path in ("/DetectedIssue", "/Flag?_count=200", "/DetectedIssue/med-0", "/Flag/med-0")
    ]
    told.append(await shared.get("/gaps", MINIMAL, limit=500))

    assert "MED_HIGH_ALERT" in str(told)
    assert MEDICINE not in str(told)


# Plans


async def test_a_transition_is_a_care_plan_of_its_tasks(shared: World) -> None:
    """Its activities are the tasks that the caller may see, and each leads back to it."""
    key = await key_of_ann(shared)
    (plan,) = await found(shared, "/CarePlan", patient=key)
    shared.people.known["sched"] = principal(
        "sched", frozenset({"scheduler"}), frozenset({"scheduling"}), frozenset({"*"})
    )
    tasks = await found(shared, "/Task", **{"based-on": f"CarePlan/{plan['id']}"})
    theirs = await got(shared, f"/CarePlan/{plan['id']}", "sched")
    shown = {one["reference"]["reference"] for one in plan["activity"]}

    assert shown == {f"Task/{task['id']}" for task in tasks}
    assert (plan["status"], plan["intent"]) == ("active", "plan")
    assert {one["reference"]["reference"] for one in theirs["activity"]} < shown
    assert len(theirs["activity"]) == 1


async def test_a_plan_is_another_when_its_tasks_are(shared: World) -> None:
    """Its version follows what it shows, so that 304 never hides a task that came or went."""
    key = await key_of_ann(shared)
    (plan,) = await found(shared, "/CarePlan", patient=key)
    task = await shared.call(patient_key=key)
    await shared.act(task, "accept")
    since = f"ge{plan['meta']['lastUpdated']}"
    (again,) = await found(shared, "/CarePlan", patient=key, _lastUpdated=since)

    assert micros(again["meta"]["lastUpdated"]) > micros(plan["meta"]["lastUpdated"])
    async with shared.client() as client:
        tag = f'W/"{plan["meta"]["versionId"]}"'
        headers = {"If-None-Match": tag}
        answer = await client.get(f"{BASE}/CarePlan/{plan['id']}", headers=headers)
    assert (answer.status_code == 304) == (answer.headers["etag"] == tag)


@pytest.mark.parametrize("status", ["active", "on-hold", "completed", "revoked"])
async def test_plans_are_found_by_the_status_they_show(shared: World, status: str) -> None:
    """Each plan under its own status and under no other."""
    for plan in await found(shared, "/CarePlan", status=status, _count=200):
        assert plan["status"] == status
    every = {plan["id"]: plan["status"] for plan in await found(shared, "/CarePlan", _count=200)}
    shown = await found(shared, "/CarePlan", status=status, _count=200)
    assert {plan["id"] for plan in shown} == {i for i, s in every.items() if s == status}


# Everything of one patient


async def test_everything_is_what_was_derived(shared: World) -> None:
    """Patient, plans, tasks, flags and issues of one patient; of another nothing."""
    key = await key_of_ann(shared)
    bundle = await got(shared, f"/Patient/{key}/$everything")
    resources = [entry["resource"] for entry in bundle["entry"]]
    kinds = {one["resourceType"] for one in resources}

    assert kinds == {"Patient", "CarePlan", "Task", "Flag", "DetectedIssue"}
    for one in resources[1:]:
        about = one.get("for") or one.get("subject") or one["patient"]
        assert about == {"reference": f"Patient/{key}"}
    for kind in ("Task", "CarePlan", "Flag"):
        alone = await found(shared, f"/{kind}", patient=key, _count=200)
        assert {one["id"] for one in alone} == {
            one["id"] for one in resources if one["resourceType"] == kind
        }


async def test_everything_comes_in_pages_of_some_types_since_some_time(shared: World) -> None:
    """`_count`, `_type` and `_since`; each resource once."""
    key = await key_of_ann(shared)
    whole = await got(shared, f"/Patient/{key}/$everything")
    seen: list[str] = []
    url: str | None = f"{BASE}/Patient/{key}/$everything?_count=3"
    async with shared.client() as client:
        while url is not None:
            bundle = (await client.get(url)).json()
            seen += [entry["fullUrl"] for entry in bundle["entry"]]
            assert len(bundle["entry"]) <= 3
            url = following(bundle)
    some = await got(shared, f"/Patient/{key}/$everything", _type="Task,CarePlan")
    later = await got(shared, f"/Patient/{key}/$everything", _since="2099-01-01")
    wrong = [
        (await ask(shared, f"/Patient/{key}/$everything", **params)).status_code
        for params in ({"_type": "Observation"}, {"_since": "then"}, {"_count": "0"}, {"x": "1"})
    ]

    assert seen == [entry["fullUrl"] for entry in whole["entry"]]
    assert {e["resource"]["resourceType"] for e in some["entry"]} == {"Task", "CarePlan"}
    assert "entry" not in later
    assert wrong == [400] * 4


# The audit


async def _audited(made: World, **asked: Any) -> list[Any]:
    """What the audit has, once it has it: records come to it as everything does."""
    end = time.monotonic() + WAIT_S
    while True:
        bundle = await got(made, "/AuditEvent", "demo-auditor", **asked)
        if "entry" in bundle:
            return [entry["resource"] for entry in bundle["entry"]]
        assert time.monotonic() < end, "it was never seen"
        await asyncio.sleep(0.05)


async def test_the_audit_is_for_auditors(shared: World) -> None:
    """Who looked at what, as R4 AuditEvent; and the look at the audit is in it."""
    key = await key_of_ann(shared)
    since = written(RealClock().now() // 1_000_000 * 1_000_000)
    await ask(shared, f"/Patient/{key}")
    looks = {"patient": f"Patient/{key}", "date": f"ge{since}", "action": "R"}
    (newest, *_) = await _audited(shared, **looks)
    again = await got(shared, f"/AuditEvent/{newest['id']}", "demo-auditor")
    (own, *_) = await _audited(shared, agent="demo-auditor", subtype="search", _count=1)

    assert (newest["action"], newest["outcome"]) == ("R", "0")
    assert newest["agent"][0]["who"]["identifier"]["value"] == "demo-supervisor"
    assert {"reference": f"Patient/{key}"} in [e.get("what") for e in newest["entity"]]
    assert again == newest
    assert own["agent"][0]["role"][0]["coding"][0]["code"] == "auditor"
    assert (await ask(shared, "/AuditEvent")).status_code == 403


# What is promised


def _routes(made: World) -> dict[str, set[str]]:
    """By type, the interactions for which there are routes."""
    assert isinstance(made.app, Envelope)
    found: dict[str, set[str]] = {}
    for route in made.app.routes:
        match = re.fullmatch(
            r"/fhir/([A-Z]\w+)(/_search|/\{\w+\}|/\{\w+\}/\$\w+)?", getattr(route, "path", "")
        )
        if match is None:
            continue
        (method,) = route.methods  # type: ignore[attr-defined]
        what = {
            ("GET", None): "search-type",
            ("POST", "/_search"): "search-type",
            ("PUT", match[2]): "update",
            ("PATCH", match[2]): "patch",
        }.get((method, match[2]), "read")
        name = (match[2] or "").partition("$")[2] or what
        found.setdefault(match[1], set()).add(name)
    return found


async def test_the_statement_says_what_the_routes_do(shared: World) -> None:
    """Types, interactions and operations: all that there are and no more."""
    statement = await got(shared, "/metadata", "demo-rn")
    told = {
        one["type"]: {i["code"] for i in one["interaction"]}
        | {o["name"] for o in one.get("operation", [])}
        for one in statement["rest"][0]["resource"]
    }

    assert told == _routes(shared)
    assert statement["implementation"]["url"] == BASE


async def test_every_parameter_that_is_told_is_understood(shared: World) -> None:
    """What the statement promises is kept, in a form or in an address; includes as well."""
    statement = await got(shared, "/metadata")
    values = {"date": "2026-01-01", "token": "x", "reference": "a" * 32, "string": "x"}
    for resource in statement["rest"][0]["resource"]:
        token = "demo-auditor" if resource["type"] == "AuditEvent" else "demo-supervisor"
        kind = resource["type"]
        for parameter in resource["searchParam"]:
            form = {parameter["name"]: values[parameter["type"]]}
            posted = await post(shared, f"/{kind}/_search", form, token)
            assert posted.status_code == 200, (kind, form, posted.text)
            in_address = await ask(shared, f"/{kind}", token, **form)
            told = "documentation" in parameter and "POST" in parameter["documentation"]
            assert (in_address.status_code == 400) == told, (kind, form)
        for include in resource.get("searchInclude", []):
            await got(shared, f"/{kind}", token, _include=include)


@pytest.mark.parametrize("kind", KINDS)
async def test_every_order_works_both_ways(shared: World, kind: str) -> None:
    """`_sort` of each word, and the reverse of it, over the same resources."""
    token = "demo-auditor" if kind == "AuditEvent" else "demo-supervisor"
    for word in KINDS[kind].orders:
        one = await got(shared, f"/{kind}", token, _sort=word, _count=3)
        other = await got(shared, f"/{kind}", token, _sort=f"-{word}", _count=3)
        assert len(one["entry"]) == len(other["entry"]) == 3


async def test_a_smart_client_learns_what_scopes_mean_here(shared: World) -> None:
    """Without a token, at both places where clients look; no endpoint that is not there."""
    async with shared.client(None) as client:
        inside = await client.get(f"{BASE}/.well-known/smart-configuration")
        outside = await client.get("http://test/.well-known/smart-configuration")
    told = inside.json()

    assert inside.headers["content-type"] == "application/json"
    assert told == outside.json()
    assert "permission-v2" in told["capabilities"]
    assert "system/Task.rus" in told["scopes_supported"]
    assert "token_endpoint" not in told


@pytest.mark.parametrize(
    ("scope", "path", "status"),
    [
        ("system/Task.rs", "/Task", 200),
        ("system/Task.s", "/Task", 200),
        ("system/Task.r", "/Task", 403),
        ("user/*.rs", "/Task", 200),
        ("system/Task.read", "/Task", 200),
        ("system/Task.rs", "/Patient", 403),
        ("system/Task.rs", "/Task?_include=Task:patient", 403),
        ("system/Task.rs system/Patient.rs", "/Task?_include=Task:patient", 200),
        ("system/Flag.rs", "/DetectedIssue", 403),
        ("patient/*.rs", "/Task", 403),
        ("system/Task.rs?status=requested", "/Task", 403),
        ("openid profile", "/Task", 200),
        (None, "/Task", 200),
    ],
)
async def test_a_tokens_scope_narrows_its_roles(
    shared: World, scope: str | None, path: str, status: int
) -> None:
    """SMART v2: the type and the interaction; what cannot be kept exactly gives nothing."""
    from orchestrator.worklist.access.claims import principal_of

    claims = {"roles": ["supervisor"], "facilities": ["*"], "scope": scope}
    shared.people.known["scoped"] = principal_of("scoped", claims)
    response = await ask(shared, path, "scoped")

    assert response.status_code == status
    if status == 403:
        assert faults(response.json()) == []


async def test_every_answer_is_audited_before_it_is_sent(
    shared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be recorded is not shown, whichever type it is."""
    from orchestrator.worklist.log.feed import LogAway

    key = await key_of_ann(shared)

    async def away(*_: Any) -> None:
        raise LogAway

    monkeypatch.setattr(shared.site.sender, "send", away)
    paths = ["/Task", "/Patient", "/Flag", "/DetectedIssue", "/CarePlan", "/Flag/med-0"]
    for path in (*paths, f"/Patient/{key}", f"/Patient/{key}/$everything"):
        response = await ask(shared, path)
        assert response.status_code == 503, path
        assert response.json()["issue"][0]["details"]["coding"][0]["code"] == "audit-unavailable"


async def test_what_the_law_restricts_is_labelled_and_withheld(shared: World) -> None:
    """42 CFR Part 2: the label for all, what betrays it for those who may know alone."""
    task = await shared.call(facility="MID")
    own = {k: v for k, v in task.items() if k not in ("why", "hidden", "contact", "changed_at")}
    masked = {**own, "version": task["version"] + 50, "masked": True, "outcome": "detoxified"}
    with Log.open(shared.folder) as log:
        log.append("care.task.v1", task["task_id"], orjson.dumps(masked))
    path = f"/Task/{task['task_id']}"
    end = time.monotonic() + WAIT_S
    while (shown := await got(shared, path))["meta"]["versionId"] != str(masked["version"]):
        assert time.monotonic() < end, "it was never seen"
        await asyncio.sleep(0.05)
    shared.people.known["part2"] = principal(
        "part2", frozenset({"supervisor"}), frozenset(), frozenset({"*"}), part2=True
    )
    whole = await got(shared, path, "part2")

    for one in (shown, whole):
        assert {"42CFRPart2", "R"} <= {label["code"] for label in one["meta"]["security"]}
    assert "detoxified" not in str(shown)
    assert whole["output"][0]["valueString"] == "detoxified"
