"""What follows a discharge: PCP appointments, the care team's commands, wishes, death."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.simulation.model.calendar import end_of_day_number
from tests.simulation.model.tasks import task_id
from tests.simulation.model.transitions import transition_id
from tests.simulation.tale import DAY, FACILITIES, HOUR, MINUTE, Left, Tale
from tests.simulation.tale_of_stays import HOMEWARD

PROVIDERS: tuple[tuple[dict[str, Any], float], ...] = (
    ({"is_pcp": True, "name": "Doe"}, 4),
    ({"npi": "1001", "name": "Doe"}, 3),
    ({"npi": "1002", "organization": "RIVERSIDE clinic"}, 1),
    ({"npi": "1003", "specialty": "Internal Medicine"}, 2),
    ({"npi": "1003", "specialty": "internal medicine", "is_pcp": False}, 0.5),
    ({"npi": "1004", "specialty": "Cardiology"}, 1.5),
)
ANSWERS = dict.fromkeys(
    ("understanding", "medicines", "appointment", "help_at_home", "education_given"), "yes"
) | {"symptoms": "none"}
VERBS = {
    "accepted": 5,
    "attempted": 6,
    "completed": 5,
    "released": 1,
    "rejected": 0.5,
    "reassigned": 1,
}
KINDS = ("CALL_48H", "PCP_VISIT_7D", "MED_REC")


def tell_pcp(tale: Tale, at: datetime) -> None:
    """Who the PCP is, and which message says so."""
    if tale.chance(0.8):
        tale.pcp = {"npi": "1001", "name": "Doe", "organization": "Riverside Clinic"}
        tale.pcp_said_in = tale.pick({"person": 5, "admission": 3, "discharge": 2})
    if tale.pcp_said_in == "person":
        data = {"pcp": tale.pcp, "language": "en"}
        tale.say("patient.updated", at, data, facility="GEN", recorded=at)


def tell_followup(tale: Tale, left: Left) -> None:
    """All that may follow a discharge that stands."""
    if left.at is None:
        return
    for _ in range(tale.pick({0: 35, 1: 40, 2: 20, 3: 5})):
        _tell_appointment(tale, left)
    if tale.options.commands and tale.chance(0.6 if left.disposition in HOMEWARD else 0.15):
        _tell_commands(tale, left)
    if tale.chance(0.1):
        _tell_preference(tale, left.at)


def tell_death(tale: Tale, last: Left) -> None:
    at = (last.at or last.admitted) + tale.between(-DAY, 35 * DAY)
    died = at - tale.between(MINUTE, 20 * HOUR)
    data = {"died_at": died.isoformat()}
    tale.traits.add("death")
    tale.say("patient.died", at, data, facility=last.facility)
    if tale.chance(0.2):
        later = at + tale.between(HOUR, DAY)
        tale.say("patient.died", later, {"died_at": None}, facility=last.facility, recorded=later)


def _slot(tale: Tale, left: Left, day: int) -> datetime:
    """A time of day on local day *day* after the discharge."""
    assert left.at is not None
    zone = str(FACILITIES[left.facility]["zone"])
    end = end_of_day_number(left.at, day, zone).astimezone(ZoneInfo(zone))
    return end - 24 * HOUR + tale.between(8 * HOUR, 18 * HOUR)


def _tell_appointment(tale: Tale, left: Left) -> None:
    assert left.at is not None
    day = tale.pick({0: 4, 1: 8, 3: 20, 6: 18, 7: 12, 8: 6, 10: 12, 14: 4, 16: 5, -2: 3})
    starts = _slot(tale, left, day)
    appointment = f"A{len(tale.lines)}"
    provider = tale.pick({i: weight for i, (_, weight) in enumerate(PROVIDERS)})
    data: dict[str, Any] = {
        "appointment_id": appointment,
        "starts_at": starts.isoformat(),
        "provider": PROVIDERS[provider][0],
    }
    modality = tale.pick({"in-person": 10, "video": 3, "phone": 1, None: 4})
    if modality:
        data["modality"] = modality
    if tale.chance(0.4):
        data["ends_at"] = (starts + 30 * MINUTE).isoformat()
    asked = min(left.at + tale.between(-2 * DAY, 5 * DAY), starts - 2 * HOUR)
    booked = tale.say("appointment.booked", asked, data, facility=left.facility)
    tale.marks += [starts, starts + DAY]
    if tale.chance(0.2):
        moved = asked + tale.between(MINUTE, HOUR)
        starts += tale.rng.choice([-1, 1, 2, 7]) * DAY
        change: dict[str, Any] = {"appointment_id": appointment, "starts_at": starts.isoformat()}
        if "ends_at" in data:
            change["ends_at"] = (starts + 30 * MINUTE).isoformat()
        _on_appointment(tale, left, "rescheduled", moved, change, booked)
    _tell_outcome(tale, left, appointment, asked + HOUR, starts, booked)


def _tell_outcome(
    tale: Tale, left: Left, appointment: str, known: datetime, starts: datetime, booked: str
) -> None:
    what = {"appointment_id": appointment}
    match tale.pick({"silent": 35, "fulfilled": 30, "cancelled": 15, "no_show": 12, "error": 3}):
        case "fulfilled":
            if tale.chance(0.4):
                _on_appointment(tale, left, "checked_in", max(starts, known), what, booked)
            at = max(starts, known) + 30 * MINUTE
            _on_appointment(tale, left, "fulfilled", at, what, booked)
        case "cancelled":
            at = max(starts - tale.between(HOUR, 3 * DAY), known)
            _on_appointment(tale, left, "cancelled", at, what, booked)
        case "no_show":
            at = max(starts, known) + tale.between(HOUR, 6 * HOUR)
            _on_appointment(tale, left, "no_show", at, what, booked)
            if tale.chance(0.2):
                _on_appointment(tale, left, "fulfilled", at + DAY, what, booked)
        case "error":
            _on_appointment(tale, left, "entered_in_error", known + HOUR, what, booked)
        case _:
            pass


def _on_appointment(
    tale: Tale, left: Left, status: str, at: datetime, data: dict[str, Any], booked: str
) -> None:
    tale.say(f"appointment.{status}", at, data, facility=left.facility, after=booked)


def _tell_preference(tale: Tale, left_at: datetime) -> None:
    wish = tale.pick({"decline-calls": 5, "decline-all": 4, "accept": 1})
    at = left_at + tale.between(-5 * HOUR, 6 * DAY)
    tale.traits.add("preference")
    tale.say("patient.preference_changed", at, {"outreach": wish}, facility="GEN")
    if wish != "accept" and tale.chance(0.25):
        later = at + tale.between(HOUR, 3 * DAY)
        tale.say("patient.preference_changed", later, {"outreach": "accept"}, facility="GEN")


def _command(tale: Tale, kind: str, verb: str) -> tuple[str, dict[str, Any]]:
    verb = verb or tale.pick(VERBS)
    role = tale.pick({"rn": 6, "pharmacist": 3, "scheduler": 2})
    data: dict[str, Any] = {"actor": tale.rng.choice(["ana", "bo"]), "role": role}
    if verb == "reassigned":
        data["to"] = tale.rng.choice(["case-management", "ana", "chris"])
    if verb == "attempted":
        data["reached"] = tale.pick({"voicemail": 5, "no-answer": 5, "bot": 1, "wrong-number": 0.4})
    if verb == "completed" and kind == "CALL_48H":
        data |= _outcome(tale)
    return verb, data


def _outcome(tale: Tale) -> dict[str, Any]:
    reached = tale.pick({"patient": 8, "caregiver": 3, "voicemail": 1, "no-answer": 1})
    outcome = tale.pick({"ok": 8, "scheduling-only": 1, "declined_followup": 1.5})
    if outcome == "declined_followup":
        reached = "patient"
    answers = dict(ANSWERS)
    if tale.chance(0.15):
        del answers["medicines"]
    return {"reached": reached, "outcome": outcome, "answers": answers}


def _tell_commands(tale: Tale, left: Left) -> None:
    """A care team at work, more or less in step with what is owed."""
    assert left.at is not None
    tale.traits.add("commands")
    at = left.at + tale.between(-HOUR if tale.chance(0.1) else MINUTE, 20 * HOUR)
    steps = [
        (tale.pick({"CALL_48H": 6, "PCP_VISIT_7D": 2, "MED_REC": 3, "SNF_HANDOFF": 0.3}), "")
        for _ in range(tale.rng.randint(1, 6))
    ]
    if tale.chance(0.2):
        steps += [(kind, "completed") for kind in KINDS]
    for kind, wanted in steps:
        verb, data = _command(tale, kind, wanted)
        if tale.chance(0.7):
            data |= {"visit_number": left.visit, "kind": kind}
        else:
            known_by = f"hospital/{left.facility}/adt {left.event}"
            name = transition_id(tale.subject, left.facility, left.visit, known_by)
            data["task_id"] = task_id(name, kind)
        tale.say(f"task.{verb}", at, data, facility=left.facility)
        if tale.chance(0.05):
            at = left.at + timedelta(hours=48)  # a completion at the due instant is late
        at += tale.between(MINUTE, HOUR) if tale.chance(0.3) else tale.between(HOUR, 40 * HOUR)
