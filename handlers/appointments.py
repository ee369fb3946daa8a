"""``care.appointment.*`` to facts about an appointment (HL7 SIU S12 to S26)."""

from typing import Any, Final

from handlers.envelope import Said
from orchestrator.core.facts import AppointmentSaid, Told

STATUS: Final = {
    "booked": "booked",
    "rescheduled": "booked",
    "cancelled": "cancelled",
    "checked_in": "checked_in",
    "fulfilled": "fulfilled",
    "no_show": "no_show",
    "entered_in_error": "entered_in_error",
}
COUNTING: Final = ("booked", "checked_in", "fulfilled")
# These say whether it was missed; a visit moved or cancelled afterwards was missed all the same.
CORRECTING: Final = ("no_show", "checked_in", "fulfilled", "entered_in_error")
TITLES: Final = {
    "booked": "Visit booked",
    "rescheduled": "Visit moved",
    "cancelled": "Visit cancelled",
    "checked_in": "Checked in for a visit",
    "fulfilled": "Visit kept",
    "no_show": "Visit not kept",
    "entered_in_error": "Visit entered in error",
}


def appointment(said: Said) -> Told:
    """Its status and whatever fields came with it."""
    what = said.event["type"].split(".")[2]
    fields: dict[str, Any] = {
        name: said.instant(name) for name in ("starts_at", "ends_at") if name in said.data
    }
    # Its own register, so that *since when* it counts survives the news that it was kept.
    fields["counts"] = STATUS[what] in COUNTING
    if STATUS[what] in CORRECTING:
        fields["missed"] = what == "no_show"
    if what == "fulfilled":
        fields["kept_told"] = True  # remains known, since when, if it is taken back
    for name in ("provider", "modality", "service"):
        if name in said.data:
            fields[name] = said.data[name]
    fact = AppointmentSaid(said.data["appointment_id"], STATUS[what], fields, said.stamp)
    return said.told(TITLES[what], [fact])
