"""The simulated hospital is repeatable, made up, and speaks the contract's language."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from events import decode_record
from events.files import Kind
from orchestrator.simulate import canonical, hl7v2
from orchestrator.simulate.feed import CARE_TEAM, Format, lines
from orchestrator.simulate.generate import Plan, generate
from orchestrator.simulate.happening import Happening
from orchestrator.simulate.places import PLACES, facilities_yaml
from schemas.facilities import Facilities
from tests.cli.conftest import Run

CLEAN = Plan(patients=150, seed=3, start=date(2026, 10, 5), days=45)
DIRTY = Plan(patients=150, seed=3, start=date(2026, 10, 5), days=45, dirt=True)
FACILITIES = Facilities.parse(facilities_yaml())


def written(plan: Plan, form: Format = "canonical") -> list[tuple[str, bytes]]:
    return list(lines(generate(plan), form))


@pytest.mark.parametrize("plan", [CLEAN, DIRTY])
def test_equal_plans_give_equal_bytes(plan: Plan) -> None:
    """A seed is enough to talk about the same hospital."""
    assert written(plan) == written(plan)
    assert written(plan, "hl7v2") == written(plan, "hl7v2")


def test_another_seed_is_another_hospital() -> None:
    """The seed decides."""
    other = Plan(CLEAN.patients, CLEAN.seed + 1, CLEAN.start, CLEAN.days)

    assert written(other) != written(CLEAN)


def test_more_patients_leave_the_first_ones_as_they_were() -> None:
    """A larger hospital holds the smaller one."""
    small = Plan(20, CLEAN.seed, CLEAN.start, CLEAN.days)
    first = {f"{100_000 + number}" for number in range(1, 21)}
    kept = [h for h in generate(CLEAN) if h.person.identifier in first]

    assert [canonical.line(h) for h in generate(small)] == [canonical.line(h) for h in kept]


def test_nothing_is_heard_before_it_is_entered_nor_after_the_end() -> None:
    """Times of one message stand in the order in which a hospital lives them."""
    for happening in generate(CLEAN):
        assert happening.recorded_at <= happening.received_at < CLEAN.ends
        assert happening.at <= happening.recorded_at


def test_every_disposition_and_class_of_the_rules_occurs() -> None:
    """Every row of the disposition table is met by somebody in a large enough hospital."""
    plan = Plan(3000, 1, date(2026, 10, 5), 60)
    discharges = [h for h in generate(plan) if h.type == "discharge.recorded"]
    codes = {h.data.get("disposition", {}).get("code", "") for h in discharges}

    assert {"01", "02", "03", "04", "06", "07", "20", "21", "50", "51", "62", "63", "65"} <= codes
    assert {"81", ""} <= codes
    classes = {h.data["class"] for h in discharges}
    assert classes == {"INPATIENT", "OBSERVATION", "EMERGENCY", "SNF"}


def test_a_clean_canonical_feed_is_accepted_whole() -> None:
    """What is written without dirt is what the contract asks for, in both formats."""
    assert Counter(refusals(generate(CLEAN), "canonical")) == {}
    assert Counter(refusals(generate(CLEAN), "hl7v2")) == {}


def test_dirt_is_refused_for_the_reasons_it_stands_for() -> None:
    """Bad records are bad in the way they mean to be, and no others are."""
    refused = Counter(refusals(generate(DIRTY), "canonical"))

    assert set(refused) == {"malformed", "missing-visit", "unknown-type", "bad-time"}


def refusals(happenings: Iterable[Happening], form: Format) -> Iterable[str]:
    for name, raw in lines(happenings, form):
        kind: Kind = "canonical" if name.endswith(".ndjson") else "hl7v2"
        yield from (reject.reason for reject in decode_record(kind, raw, FACILITIES).rejects)


def test_dirt_holds_every_kind() -> None:
    """Repeats, late receipts, cancelled and corrected discharges: all in one small hospital."""
    heard = generate(DIRTY)
    ids = Counter(happening.id for happening in heard)
    types = {happening.type for happening in heard}

    assert max(ids.values()) > 1, "no repeat"
    assert any(h.received_at - h.recorded_at > timedelta(hours=3) for h in heard), "none late"
    assert any(h.cut for h in heard), "none broken off"
    assert {"discharge.cancelled", "discharge.corrected", "admission.cancelled"} <= types


def test_both_formats_say_the_same() -> None:
    """An HL7 message means the canonical event that is written in its place."""
    compared = 0
    for happening in generate(CLEAN):
        if not hl7v2.has_message(happening) or happening.type == "patient.updated":
            continue
        (said,) = decode_record("canonical", canonical.line(happening), FACILITIES).events
        decoded = decode_record("hl7v2", hl7v2.message(happening), FACILITIES)
        same = [event for event in decoded.events if event["type"] == said["type"]]
        if happening.type == "discharge.corrected":  # an A08 does not say which of the two it is
            same = [event for event in decoded.events if event["type"].endswith("updated.v1")]
        assert same, happening.trigger
        (event,) = same[:1]
        for field in ("subject", "facility", "receivedtime"):
            assert event[field] == said[field], (happening.trigger, field)
        # An SIU has no EVN: all its times are when it was sent.
        for field in () if happening.trigger.startswith("SIU") else ("time", "recordedtime"):
            assert event[field] == said[field], (happening.trigger, field)
        for field in ("visit_number", "discharged_at", "cancels_at", "starts_at", "class"):
            if field in said["data"]:
                assert event["data"][field] == said["data"][field], (happening.trigger, field)
        compared += 1
    assert compared > 500


def test_nobody_in_it_is_real() -> None:
    """Phones are of the range kept for fiction, and provider numbers fail their check digit."""
    for happening in generate(CLEAN):
        assert "-555-01" in happening.person.phone
    numbers = {p["npi"] for h in generate(CLEAN) if (p := h.data.get("provider"))}
    assert numbers
    assert not [npi for npi in numbers if luhn("80840" + npi)]


def luhn(digits: str) -> bool:
    """The check digit of a National Provider Identifier, with its prefix 80840."""
    total = 0
    for index, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if index % 2 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def test_simulate_writes_a_feed_and_its_facilities(run: Run, tmp_path: Path) -> None:
    """One command leaves a folder that ``replay`` reads, and says how."""
    ran = run("simulate", "--patients", "30", "--out", "hospital", "--dirt")

    assert ran.code == 0
    assert "replay --facilities hospital/facilities.yaml hospital/feed" in ran.err
    feed = tmp_path / "hospital" / "feed"
    names = {file.name for file in feed.iterdir()}
    assert names <= {f"{place.id}.ndjson" for place in PLACES} | {CARE_TEAM}
    first = orjson.loads((feed / "GEN.ndjson").read_bytes().splitlines()[0])
    assert datetime.fromisoformat(first["time"]).astimezone(UTC).year == 2026

    again = run("simulate", "--patients", "30", "--out", "again", "--dirt")
    assert again.code == 0
    for name in names:
        assert (tmp_path / "again" / "feed" / name).read_bytes() == (feed / name).read_bytes()


def test_another_format_replaces_the_earlier_feed(run: Run, tmp_path: Path) -> None:
    """Two runs into one folder do not mix two hospitals."""
    assert run("simulate", "--patients", "30", "--out", "h").code == 0
    assert run("simulate", "--patients", "30", "--out", "h", "--format", "hl7v2").code == 0

    assert not [file for file in (tmp_path / "h" / "feed").iterdir() if file.name == "GEN.ndjson"]
    assert (tmp_path / "h" / "feed" / "GEN.hl7").read_bytes().startswith(b"MSH|")


def test_fhir_says_that_it_comes_later(run: Run) -> None:
    """A format that is not there yet is refused in words."""
    ran = run("simulate", "--format", "fhir")

    assert ran.code == 2
    assert "comes later" in ran.err
