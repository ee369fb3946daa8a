"""Stays as feeds tell them: admissions, class changes, cancels, discharges, corrections."""

from datetime import datetime, timedelta
from typing import Any

from tests.simulation.tale import DAY, HOSPITALS, HOUR, MINUTE, Left, Tale

DISPOSITIONS: dict[str | None, float] = {
    "01": 42,
    "06": 9,
    None: 5,
    "07": 5,
    "02": 7,
    "03": 9,
    "61": 1,
    "62": 2,
    "65": 1,
    "50": 2,
    "20": 2,
    "21": 1.5,
    "81": 4,
    "83": 1,
    "LOCAL": 1.5,
    "09": 0.7,
    "30": 0.5,
    "04": 1.5,
    "1": 1,
}
TRANSFERS = ("02",)
FACILITY = ("03", "61", "62", "65", "83")
HOMEWARD = ("01", "06", None, "07", "81", "LOCAL", "04", "1")
STAY_KINDS = {
    "inpatient": 60.0,
    "observation": 12,
    "ed": 7,
    "ed_to_inpatient": 12,
    "observation_to_inpatient": 5,
    "newborn": 1,
    "outpatient": 1,
}
RETURN_KINDS = {"inpatient": 50.0, "ed": 26, "observation": 12, "ed_to_inpatient": 12}
FIRST_CLASS = {
    "inpatient": "INPATIENT",
    "observation": "OBSERVATION",
    "observation_to_inpatient": "OBSERVATION",
    "ed": "EMERGENCY",
    "ed_to_inpatient": "EMERGENCY",
    "snf": "SNF",
    "newborn": "NEWBORN",
    "outpatient": "OUTPATIENT",
}
LENGTH = {
    "ed": (2 * HOUR, 14 * HOUR),
    "observation": (10 * HOUR, 60 * HOUR),
    "snf": (3 * DAY, 40 * DAY),
    "outpatient": (HOUR, 5 * HOUR),
}


def _person(tale: Tale, where: str) -> dict[str, Any]:
    """The PCP, where this tale has one and says so in this kind of message."""
    return {"pcp": tale.pcp} if tale.pcp and tale.pcp_said_in == where else {}


def tell_stay(
    tale: Tale,
    kind: str,
    facility: str,
    admitted: datetime,
    *,
    disposition: str | None = "",
    visit: str | None = None,
    admit_type: str | None = None,
) -> Left:
    """One stay from its admission to whatever ended it; cancels and corrections included."""
    visit = visit or tale.new_visit()
    left = Left(facility, visit, admitted)
    first = _tell_admission(tale, kind, left, admit_type)
    if first is None and kind not in ("inpatient", "snf"):
        return left
    if first is not None and tale.chance(0.07) and not _survives_cancel(tale, left, kind, first):
        return left
    least, most = LENGTH.get(kind, (20 * HOUR, 12 * DAY))
    discharged = left.admitted + tale.between(least, most)
    if first is not None:
        _tell_changes(tale, kind, left, first, discharged)
    if first is not None and tale.chance(0.06):
        tale.traits.add("still open")
        return left
    if disposition == "":
        disposition = tale.pick(DISPOSITIONS)
    if kind in ("ed", "outpatient") and disposition not in ("20", "07"):
        disposition = "01"
    _tell_discharge(tale, left, discharged, disposition, synthetic=first is None)
    return left


def _tell_admission(tale: Tale, kind: str, left: Left, admit_type: str | None) -> str | None:
    if kind in ("inpatient", "snf") and tale.chance(0.05):
        tale.traits.add("no admission")
        return None
    data: dict[str, Any] = {"visit_number": left.visit, "class": FIRST_CLASS[kind]}
    data |= _person(tale, "admission")
    if admit_type or tale.chance(0.5):
        data["admit_type"] = admit_type or tale.rng.choice(["E", "U"])
    at = left.admitted
    if tale.chance(0.15):
        data["admitted_at"] = at.isoformat()
        at += tale.between(MINUTE, 30 * MINUTE)
    first = tale.say("admission.opened", at, data, facility=left.facility)
    if tale.chance(0.06):
        tale.repeat(first, later=tale.between(HOUR, DAY), same_id=tale.chance(0.5))
    return first


def _survives_cancel(tale: Tale, left: Left, kind: str, first: str) -> bool:
    """A11, and perhaps the admission again; says whether the stay goes on."""
    tale.traits.add("cancel")
    at = left.admitted + tale.between(HOUR, 10 * HOUR)
    data: dict[str, Any] = {"visit_number": left.visit}
    if tale.chance(0.3):
        data["cancels_at"] = left.admitted.isoformat()
    tale.say("admission.cancelled", at, data, facility=left.facility)
    if tale.chance(0.5):
        return False
    left.admitted = at + tale.between(HOUR, 5 * HOUR)
    again = {"visit_number": left.visit, "class": FIRST_CLASS[kind]} | _person(tale, "admission")
    tale.say("admission.opened", left.admitted, again, facility=left.facility, after=first)
    return True


def _tell_changes(tale: Tale, kind: str, left: Left, first: str, discharged: datetime) -> None:
    span = discharged - left.admitted
    if kind.endswith("_to_inpatient"):
        at = left.admitted + tale.between(HOUR, min(span - HOUR, 20 * HOUR))
        data = {"visit_number": left.visit, "class": "INPATIENT"}
        tale.say("admission.updated", at, data, facility=left.facility, after=first)
    if tale.chance(0.2):
        at = left.admitted + tale.between(MINUTE, span - MINUTE)
        data = {"visit_number": left.visit, "service": tale.rng.choice(["MED", "SUR"])}
        tale.say("admission.updated", at, data, facility=left.facility, after=first)
    if kind == "inpatient" and span > 2 * DAY and tale.chance(0.03):
        gone = left.admitted + tale.between(HOUR, DAY)
        data = {"visit_number": left.visit}
        tale.say("admission.left", gone, data, facility=left.facility, after=first)
        back = gone + tale.between(HOUR, 12 * HOUR)
        tale.say("admission.returned", back, data, facility=left.facility, after=first)


def _tell_discharge(
    tale: Tale, left: Left, at: datetime, disposition: str | None, *, synthetic: bool = False
) -> None:
    name = _say_discharge(tale, left, at, disposition)
    if synthetic and tale.chance(0.3):
        tale.lines[-1].event["data"]["admitted_at"] = left.admitted.isoformat()
    left.at, left.event, left.disposition = at, name, disposition
    if tale.chance(0.07):
        tale.repeat(name, later=tale.between(MINUTE, 2 * DAY), same_id=tale.chance(0.5))
    if tale.chance(0.2):
        _tell_later_update(tale, left, name)
    if tale.chance(0.18) and disposition != "30":
        _tell_correction(tale, left, name)
    if tale.chance(0.14):
        _tell_cancelled_discharge(tale, left)


def _say_discharge(tale: Tale, left: Left, at: datetime, disposition: str | None) -> str:
    data: dict[str, Any] = {"visit_number": left.visit} | _person(tale, "discharge")
    if disposition is not None:
        data["disposition"] = disposition if tale.chance(0.3) else {"code": disposition}
    if tale.chance(0.3):
        data["discharged_at"] = at.isoformat()
        at += tale.between(MINUTE, 20 * MINUTE)
    tale.marks.append(at)
    return tale.say("discharge.recorded", at, data, facility=left.facility)


def _tell_later_update(tale: Tale, left: Left, name: str) -> None:
    """An A08 about something else: the coder's final word, days later.  It must change nothing."""
    assert left.at is not None
    at = left.at + tale.between(HOUR, 4 * DAY)
    data = {"visit_number": left.visit, "service": tale.rng.choice(["MED", "SUR"])}
    tale.say("admission.updated", at, data, facility=left.facility, after=name)


def _tell_correction(tale: Tale, left: Left, name: str) -> None:
    """The discharge time or the disposition was wrong, and one of three messages says so."""
    assert left.at is not None
    tale.traits.add("correction")
    at = left.at + tale.between(HOUR, 3 * DAY)
    data: dict[str, Any] = {"visit_number": left.visit}
    if tale.chance(0.5):
        left.disposition = tale.pick({k: v for k, v in DISPOSITIONS.items() if k != "30"})
        data["disposition"] = left.disposition
    if tale.chance(0.5) or "disposition" not in data:
        left.at = max(left.at - tale.between(-3 * HOUR, 14 * HOUR), left.admitted + HOUR)
        data["discharged_at"] = left.at.isoformat()
        tale.marks.append(left.at)
    kind = tale.pick({"discharge.corrected": 5, "admission.updated": 3, "discharge.recorded": 3})
    if kind == "discharge.recorded":
        tale.say(kind, left.at, data, facility=left.facility, recorded=at)
    else:
        tale.say(kind, at, data, facility=left.facility, after=name)


def _tell_cancelled_discharge(tale: Tale, left: Left) -> None:
    """A13, with or without the time it cancels, and often another discharge later."""
    assert left.at is not None
    tale.traits.add("cancel")
    said = max(x.at for x in tale.lines if x.event["data"].get("visit_number") == left.visit)
    at = max(said, left.at) + tale.between(30 * MINUTE, 30 * HOUR)
    data: dict[str, Any] = {"visit_number": left.visit}
    if tale.chance(0.4):
        data["cancels_at"] = left.at.isoformat()
    cancel = tale.say("discharge.cancelled", at, data, facility=left.facility)
    disposition, left.at, left.event = left.disposition, None, None
    if tale.chance(0.65):
        again = at + tale.between(HOUR, 3 * DAY)
        event = _say_discharge(tale, left, again, disposition)
        left.at, left.event = again, event
        if tale.chance(0.1):
            tale.repeat(event, later=tale.between(MINUTE, DAY), same_id=False)
    elif tale.chance(0.05):
        tale.repeat(cancel, later=HOUR, same_id=False)


def tell_next_stay(tale: Tale, last: Left) -> Left:
    """Whatever comes after a stay: arrival elsewhere, a return, an overlap, a planned admission."""
    left_at = last.at
    if left_at is None:
        at = last.admitted + tale.between(DAY, 20 * DAY)
        return tell_stay(tale, tale.pick(RETURN_KINDS), tale.rng.choice(HOSPITALS), at)
    other = "MID" if last.facility == "GEN" else "GEN"
    if last.disposition in FACILITY and tale.chance(0.7):
        at = left_at + tale.between(HOUR, 20 * HOUR if tale.chance(0.9) else 40 * HOUR)
        home = tale.pick({"01": 8, "06": 2, "20": 1, "02": 1})
        return tell_stay(tale, "snf", "SNF1", at, disposition=home)
    if last.disposition in TRANSFERS and tale.chance(0.75):
        kind = tale.pick({"inpatient": 8, "ed_to_inpatient": 1})
        return tell_stay(tale, kind, other, left_at + tale.between(HOUR, 16 * HOUR))
    if tale.chance(0.08):
        tale.traits.add("overlap")
        span = left_at - last.admitted
        at = last.admitted + tale.between(HOUR, max(span - HOUR, 2 * HOUR))
        return tell_stay(tale, "inpatient", other, at)
    return _tell_return(tale, last, left_at, other)


def _tell_return(tale: Tale, last: Left, left_at: datetime, other: str) -> Left:
    gap = tale.pick(
        {
            (2 * HOUR, DAY): 25,
            (DAY, 7 * DAY): 40,
            (7 * DAY, 30 * DAY): 27,
            (30 * DAY, 40 * DAY): 8,
        }
    )
    at = left_at + tale.between(*gap)
    facility = last.facility if tale.chance(0.6) and last.facility in HOSPITALS else other
    if at < left_at + 30 * DAY:
        tale.traits.add("return")
    if tale.chance(0.08) or (last.disposition == "81" and tale.chance(0.6)):
        return _tell_planned(tale, facility, at)
    kind = tale.pick(RETURN_KINDS)
    if kind in ("inpatient", "ed_to_inpatient") and at < left_at + 30 * DAY:
        tale.traits.add("readmission")
    same_number = kind == "inpatient" and facility == last.facility and tale.chance(0.05)
    return tell_stay(tale, kind, facility, at, visit=last.visit if same_number else None)


def _tell_planned(tale: Tale, facility: str, at: datetime) -> Left:
    """An admission that was planned, or that comes on another day than planned."""
    visit = tale.new_visit()
    off = timedelta(0) if tale.chance(0.7) else 5 * DAY
    data = {
        "visit_number": visit if tale.chance(0.6) else tale.new_visit(),
        "class": "INPATIENT",
        "expected_at": (at + off + tale.between(-DAY, DAY)).isoformat(),
    }
    tale.say("admission.planned", at - tale.between(2 * DAY, 10 * DAY), data, facility=facility)
    tale.traits.add("planned")
    return tell_stay(
        tale, "inpatient", facility, at, visit=visit, admit_type=tale.pick({"C": 7, "E": 3})
    )
