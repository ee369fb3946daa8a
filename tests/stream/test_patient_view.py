"""``care.patient-view.v1``: whom to call, while something is open; through the embedded runtime."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from orchestrator.core.instants import DAY, HOUR, MINUTE, read, written
from orchestrator.stream.clock import ManualClock
from orchestrator.stream.embedded import Pace, Runtime
from orchestrator.stream.keys import patient_key
from orchestrator.stream.memory_store import MemoryStore
from orchestrator.stream.processor import Processor
from orchestrator.stream.rounds import JournalRecord, Store
from orchestrator.stream.rules import rules
from orchestrator.stream.sqlite_log import Log
from schemas.facilities import Facilities
from schemas.patient_view import PatientView
from schemas.policy import load_policies
from schemas.topics import JOURNAL, topic_of
from tests.stream.fakes import SITE_KEY, new_log

TOPIC = "care.patient-view.v1"
START = read("2026-10-06T12:00:00Z")
FACILITIES = Facilities.parse("default: {zone: America/New_York}\nGEN: {part2_units: [DETOX]}\n")
RULES = rules(load_policies(None), FACILITIES)
PHONE = "202-555-0147"


def product(store: Store) -> Processor:
    return Processor(store, RULES, FACILITIES, SITE_KEY)


class Hospital:
    """Says what happens, a minute apart, to an embedded product."""

    def __init__(self, log: Log, clock: ManualClock) -> None:
        self.log = log
        self.clock = clock
        self.runtime = Runtime(log, product, FACILITIES, SITE_KEY, Pace())
        self._number = 0

    def says(self, word: str, subject: str = "GEN|A", **data: Any) -> None:
        self.clock.advance(MINUTE)
        self._number += 1
        name = f"care.{word}.v1"
        event = {
            "specversion": "1.0",
            "id": f"E{self._number}",
            "source": "hospital/GEN/adt",
            "type": name,
            "time": written(self.clock.now()),
            "subject": subject,
            "facility": "GEN",
            "data": data,
        }
        self.log.append(topic_of(name, "live") or "", None, orjson.dumps(event))
        self.passes(0)

    def person(self, subject: str = "GEN|A", **more: Any) -> None:
        name = {"family": "Planted", "given": ["Pat"]}
        self.says("patient.updated", subject, name=name, phones=[PHONE], **more)

    def discharges(self, subject: str = "GEN|A", visit: str = "V1", **more: Any) -> None:
        self.says(
            "discharge.recorded", subject, visit_number=visit, disposition={"code": "01"}, **more
        )

    def passes(self, length: int) -> None:
        self.clock.advance(length)
        for _ in range(4):
            self.clock.advance(1_000_000)
            while self.runtime.turn():
                pass

    def views(self, subject: str = "GEN|A") -> list[dict[str, Any] | None]:
        """All that was published under the patient's key, in order."""
        key = patient_key(SITE_KEY, subject)
        return [
            None if record.value is None else orjson.loads(record.value)
            for partition in range(self.log.partitions)
            for record in self.log.read(TOPIC, partition, 0, 10_000)
            if record.key == key
        ]

    def view(self, subject: str = "GEN|A") -> dict[str, Any]:
        """What stands; it is of the published form."""
        newest = self.views(subject)[-1]
        assert newest is not None
        PatientView.model_validate(newest)
        return newest

    def newest(self, topic: str, name: str) -> dict[str, dict[str, Any]]:
        return {
            value[name]: value
            for partition in range(self.log.partitions)
            for record in self.log.read(topic, partition, 0, 10_000)
            if (value := orjson.loads(record.value or b"{}"))
        }


@pytest.fixture
def hospital(tmp_path: Path) -> Hospital:
    log, clock = new_log(tmp_path, START)
    return Hospital(log, clock)


def test_nobody_is_shown_before_something_is_open(hospital: Hospital) -> None:
    """Who is in hospital, and whom nobody has to call yet, is published nowhere."""
    hospital.person()
    hospital.says("admission.opened", visit_number="V1", **{"class": "INPATIENT"})
    assert hospital.views() == []
    hospital.discharges()
    view = hospital.view()
    assert (view["version"], view["phones"], view["facilities"]) == (1, [PHONE], ["GEN"])
    assert [stay["status"] for stay in view["stays"]] == ["discharged"]


def test_each_difference_is_a_version_and_a_repeat_is_none(hospital: Hospital) -> None:
    """Consumers see every new phone number once."""
    hospital.person()
    hospital.discharges()
    hospital.person()
    assert len(hospital.views()) == 1
    hospital.says("patient.updated", phones=["202-555-0199"])
    hospital.says(
        "appointment.booked",
        appointment_id="AP1",
        starts_at="2026-10-09T14:00:00Z",
        provider={"is_pcp": True},
    )
    views = hospital.views()
    assert [view and view["version"] for view in views] == [1, 2, 3]
    assert hospital.view()["phones"] == ["202-555-0199"]
    (appointment,) = hospital.view()["appointments"]
    assert (appointment["starts_at"], appointment["status"]) == ("2026-10-09T14:00:00Z", "booked")


def test_it_goes_when_nothing_is_open_and_comes_back_with_a_greater_version(
    hospital: Hospital,
) -> None:
    """Contact details are kept no longer than somebody needs them."""
    hospital.person()
    hospital.discharges()
    hospital.says("patient.died", died_at="2026-10-06T12:00:00Z")
    assert hospital.views()[-1] is None
    hospital.says("patient.died", died_at=None)
    assert hospital.view()["version"] > 1
    hospital.passes(40 * DAY)
    assert hospital.views()[-1] is None


def test_a_merge_leaves_the_survivor_alone(hospital: Hospital) -> None:
    """One person has one view; taken apart again they are two."""
    hospital.person("GEN|A")
    hospital.discharges("GEN|A", "V1")
    hospital.discharges("GEN|B", "V2")
    before = hospital.view("GEN|A")["version"]
    hospital.says("patient.merged", "GEN|B", retired="GEN|A")
    hospital.passes(HOUR)
    assert hospital.views("GEN|A")[-1] is None
    joined = hospital.view("GEN|B")
    assert (joined["aliases"], joined["phones"]) == (["GEN|A"], [PHONE])
    assert [stay["visit_number"] for stay in joined["stays"]] == ["V1", "V2"]
    hospital.says("patient.unmerged", "GEN|B", retired="GEN|A")
    hospital.passes(HOUR)
    assert hospital.view("GEN|A")["version"] > before
    assert hospital.view("GEN|B")["phones"] == []


def test_a_unit_of_part_2_is_masked_until_the_patient_consents(hospital: Hospital) -> None:
    """Whoever shows it must know; consent given and revoked changes what stands (scenario 25)."""
    hospital.person()
    hospital.says(
        "admission.opened", visit_number="V1", location={"code": "DETOX"}, **{"class": "INPATIENT"}
    )
    hospital.says("admission.updated", visit_number="V1", location={"code": "4W"})
    hospital.discharges()

    def masked() -> set[bool]:
        things = [*hospital.newest("care.task.v1", "task_id").values()]
        things += hospital.newest("care.gap.v1", "gap_id").values()
        assert things
        return {thing["masked"] for thing in things if thing.get("transition_id")}

    assert (masked(), hospital.view()["masks"]) == ({True}, ["appointments", "stays"])
    hospital.says("patient.consent_changed", scope="part2", state="granted", parties=["all"])
    assert (masked(), hospital.view()["masks"]) == ({False}, [])
    hospital.says("patient.consent_changed", scope="part2", state="revoked")
    assert (masked(), hospital.view()["masks"]) == ({True}, ["appointments", "stays"])


def test_a_gap_that_tells_of_such_a_stay_is_masked_too(hospital: Hospital) -> None:
    """The readmission after an ordinary discharge names the visit in the unit."""
    hospital.person()
    hospital.says("admission.opened", visit_number="V1", location="4W", **{"class": "INPATIENT"})
    hospital.discharges()
    hospital.passes(HOUR)
    hospital.says("admission.opened", visit_number="V2", location="DETOX", **{"class": "INPATIENT"})
    gaps = hospital.newest("care.gap.v1", "gap_id").values()
    assert {gap["masked"] for gap in gaps if gap["code"] == "READMISSION_30D"} == {True}
    tasks = hospital.newest("care.task.v1", "task_id").values()
    assert {task["masked"] for task in tasks} == {False}


def test_another_unit_masks_nothing(hospital: Hospital) -> None:
    """What is not named in the facilities file is an ordinary unit."""
    hospital.says("admission.opened", visit_number="V1", location="4W", **{"class": "INPATIENT"})
    hospital.discharges()
    tasks = hospital.newest("care.task.v1", "task_id")
    assert {task["masked"] for task in tasks.values()} == {False}


def test_a_feed_is_nobody(hospital: Hospital) -> None:
    """A facility's gaps are no person's."""
    hospital.says("admission.opened", visit_number="V1", **{"class": "no such class"})
    gaps = hospital.newest("care.gap.v1", "gap_id").values()
    assert [gap["scope"] for gap in gaps if gap["code"] == "DATA_QUALITY"] == ["facility:GEN"]
    assert not [
        record
        for partition in range(hospital.log.partitions)
        for record in hospital.log.read(TOPIC, partition, 0, 10_000)
    ]


def test_the_journal_gives_the_same_views_whatever_the_batching(hospital: Hospital) -> None:
    """Byte for byte, in whatever rounds the journal is read."""
    for subject in ("GEN|A", "GEN|B"):
        hospital.person(subject)
        hospital.discharges(subject, f"V{subject}")
    hospital.says("patient.merged", "GEN|B", retired="GEN|A")
    hospital.passes(HOUR)  # less than after which the log is compacted
    for batch in (1, 1_000):
        store = MemoryStore()
        processor = product(store)
        for partition in range(hospital.log.partitions):
            records = [
                JournalRecord(partition, r.offset, r.stamp, r.key or "", r.value or b"")
                for r in hospital.log.read(JOURNAL, partition, 0, 100_000)
            ]
            for begin in range(0, len(records), batch):
                store.commit(processor.process(partition, records[begin : begin + batch]))
                processor.trim()
        again: dict[str, list[bytes | None]] = {}
        for out in store.published:
            if out.topic == TOPIC:
                again.setdefault(out.key, []).append(out.value)
        lies: dict[str, list[bytes | None]] = {}
        for partition in range(hospital.log.partitions):
            for record in hospital.log.read(TOPIC, partition, 0, 10_000):
                lies.setdefault(record.key or "", []).append(record.value)
        assert again == lies
        assert len(lies) == 2
