"""Happenings as HL7 v2.5.1 messages: ADT and SIU as the three facilities' systems would send them.

Positions: HL7 v2.5.1 chapters 3 and 10; which field carries which time: `domain/rulings.md` 33.
What care teams do has no HL7 message and is written as canonical events beside the feed.
"""

from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from orchestrator.simulate.happening import Happening, Visit
from orchestrator.simulate.places import ATTENDINGS, DIAGNOSES, Provider

Fields = dict[int, str]

# Interface engines differ in how they end a line; readers must take all three.
SEGMENT_END: Final = {"GEN": "\r", "MID": "\r\n", "SNF1": "\n"}
# Table 0004 knows no observation (O, and PV1-18 says OBS) and no nursing facility: that one sends a
# word of its own, which its class_map in the facilities file explains.
CLASS: Final = {
    "INPATIENT": "I",
    "OBSERVATION": "O",
    "EMERGENCY": "E",
    "SNF": "SNF",
    "PREADMIT": "P",
}
# SCH-25, table 0278.
FILLER_STATUS: Final = {
    "appointment.booked": "Booked",
    "appointment.rescheduled": "Booked",
    "appointment.cancelled": "Cancelled",
    "appointment.fulfilled": "Complete",
    "appointment.no_show": "Noshow",
}
_ESCAPES: Final = str.maketrans(
    {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"}
)


def has_message(happening: Happening) -> bool:
    """Whether HL7 v2 has a message for it."""
    return bool(happening.trigger)


def message(happening: Happening) -> bytes:
    """One message; MSH-7 is when it was sent, which is when we receive it."""
    zone = ZoneInfo(happening.place.zone)
    if happening.trigger.startswith("SIU"):
        segments = _siu(happening, zone)
    else:
        segments = _adt(happening, zone)
    end = SEGMENT_END[happening.place.id]
    text = end.join([_msh(happening, zone), *segments]) + end
    # Half a message; what follows it starts on a line of its own.
    return (text[: len(text) // 3] + end if happening.cut else text).encode()


def _adt(happening: Happening, zone: ZoneInfo) -> list[str]:
    segments = [_evn(happening, zone), _pid(happening, zone), _pd1(happening)]
    visit = happening.visit
    if visit is None:
        return segments if happening.trigger == "ADT^A31" else [*segments, "PV1|1|N"]
    if kin := happening.person.caregiver:
        segments.append(
            _segment("NK1", {1: "1", 2: _t(kin.name), 3: _t(kin.relation), 5: kin.phone})
        )
    segments.append(_pv1(happening, visit, zone))
    if happening.type in ("admission.planned", "discharge.pending"):
        expected = _time(happening.data["expected_at"], zone)
        segments.append(
            _segment("PV2", {8 if happening.type == "admission.planned" else 9: expected})
        )
    if happening.type == "admission.opened":
        code, words = DIAGNOSES[visit.diagnosis]
        segments.append(_segment("DG1", {1: "1", 3: f"{code}^{_t(words)}^I10", 6: "A"}))
    if happening.trigger == "ADT^A06" and visit.previous_number is not None:
        segments.append(_segment("MRG", {1: _cx(happening), 5: visit.previous_number}))
    return segments


def _siu(happening: Happening, zone: ZoneInfo) -> list[str]:
    said = happening.data
    doctor: dict[str, Any] = said["provider"]
    given, _, family = doctor["name"].partition(" ")
    starts, ends = _time(said["starts_at"], zone), _time(said["ends_at"], zone)
    schedule = {
        1: said["appointment_id"],
        2: said["appointment_id"],
        6: "FOLLOWUP^Follow-up after discharge",
        9: "30",
        10: "min",
        11: f"^^30^{starts}^{ends}",
        25: FILLER_STATUS[happening.type],
    }
    return [
        _segment("SCH", schedule),
        _pid(happening, zone),
        _pd1(happening),
        _segment("RGS", {1: "1", 2: "A"}),
        _segment("AIS", {1: "1", 3: "FOLLOWUP^Office visit", 4: starts, 7: "30", 8: "min"}),
        _segment(
            "AIP",
            {
                1: "1",
                3: f"{doctor['npi']}^{_t(family)}^{_t(given)}^^^^^^NPI",
                4: f"^{_t(doctor['specialty'])}",
                6: starts,
            },
        ),
        _segment("AIL", {1: "1", 3: f"^^^{_t(doctor['organization'])}", 6: starts}),
    ]


def _msh(happening: Happening, zone: ZoneInfo) -> str:
    place = happening.place
    sent = _time(happening.received_at, zone)
    # MSH counts its own separator as field 1, so field n stands at n - 1.
    return (
        f"MSH|^~\\&|{place.application}|{place.id}|CARE|CARE|{sent}||{happening.trigger}"
        f"|{happening.id}|P|2.5.1"
    )


def _evn(happening: Happening, zone: ZoneInfo) -> str:
    fields = {1: happening.trigger[-3:], 2: _time(happening.recorded_at, zone)}
    if "cancels_at" in happening.data:
        fields[6] = _time(happening.data["cancels_at"], zone)
    elif happening.type not in ("admission.planned", "discharge.pending"):
        fields[6] = _time(happening.at, zone)
    return _segment("EVN", fields)


def _pid(happening: Happening, zone: ZoneInfo) -> str:
    who = happening.person
    fields = {
        1: "1",
        3: _cx(happening),
        5: f"{_t(who.family)}^{_t(who.given)}",
        7: f"{who.birth_date:%Y%m%d}",
        8: who.sex,
        13: f"^PRN^PH^^^^^^^^^{who.phone}",
        15: who.language,
    }
    if died_at := happening.data.get("died_at"):
        fields |= {29: _time(died_at, zone), 30: "Y"}
    return _segment("PID", fields)


def _pd1(happening: Happening) -> str:
    pcp = happening.person.pcp
    return _segment("PD1", {4: _xcn(pcp) if pcp else ""})


def _pv1(happening: Happening, visit: Visit, zone: ZoneInfo) -> str:
    said = happening.data
    fields = {
        1: "1",
        2: CLASS[visit.cls],
        3: f"{visit.ward}^^^{visit.place.id}",
        4: visit.admit_type,
        7: _xcn(ATTENDINGS[visit.attending]),
        10: visit.service,
        14: visit.admit_source,
        18: "OBS" if visit.cls == "OBSERVATION" else "",
        19: visit.number,
    }
    if happening.type != "admission.planned":
        fields[44] = _time(visit.admitted_at, zone)
    if disposition := said.get("disposition"):
        fields[36] = disposition["code"]
    if discharged_at := said.get("discharged_at"):
        fields[45] = _time(discharged_at, zone)
    return _segment("PV1", fields)


def _segment(name: str, fields: Fields) -> str:
    last = max((number for number, value in fields.items() if value), default=0)
    return "|".join([name, *(fields.get(number, "") for number in range(1, last + 1))])


def _cx(happening: Happening) -> str:
    authority, _, identifier = happening.person.subject.partition("|")
    return f"{identifier}^^^{authority}^MR"


def _xcn(provider: Provider) -> str:
    return f"{provider.npi}^{_t(provider.family)}^{_t(provider.given)}^^^^^^NPI"


def _time(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y%m%d%H%M%S%z}"


def _t(text: str) -> str:
    """Text with HL7's own characters escaped."""
    return text.translate(_ESCAPES)
