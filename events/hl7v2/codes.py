"""HL7 tables as the product reads them: patient class, appointment status, modality, phone use.

Site maps of the facilities file go first.  Nothing here refuses: a code that no table has is
answered with the fail-safe value and the word that it was not mapped (ruling 38).
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Final, NamedTuple

# PV1-2, table 0004, with the words that feeds write instead, and the extensions V and S of the
# DirectTrust profile (messages.md): observation and short stay.
_CLASSES: Final = {
    "I": "INPATIENT",
    "INPATIENT": "INPATIENT",
    "IMP": "INPATIENT",
    "E": "EMERGENCY",
    "EMERGENCY": "EMERGENCY",
    "EMER": "EMERGENCY",
    "O": "OUTPATIENT",
    "OUTPATIENT": "OUTPATIENT",
    "AMB": "OUTPATIENT",
    "P": "PREADMIT",
    "PREADMIT": "PREADMIT",
    "R": "RECURRING",
    "RECURRING": "RECURRING",
    "B": "INPATIENT",  # obstetrics: a mother gets the core tasks (ruling 11)
    "OBSTETRICS": "INPATIENT",
    "V": "OBSERVATION",
    "S": "OBSERVATION",
    "OBS": "OBSERVATION",
    "OBV": "OBSERVATION",
    "OBSENC": "OBSERVATION",
    "OBSERVATION": "OBSERVATION",
}
_OBSERVATION_TYPES: Final = frozenset({"OBS", "OBV", "V", "S", "OBSERVATION"})  # PV1-18 beside O

# Where PV1-2 is empty, U, N, C or of no table: what the trigger itself says of the patient.  An
# A01 admits; but A04 registers people who may only have come to a clinic, and to call them
# inpatients would close an active transition as a readmission and take its call away.  As
# observation they close nothing, and their discharge still opens what is owed.  All other
# triggers: not said, so what is known of the stay holds, and a stay that nobody admitted counts
# as inpatient (ruling 11).
_FAIL_SAFE: Final = {
    "A01": "INPATIENT",
    "A04": "OBSERVATION",
    "A05": "PREADMIT",
    "A06": "INPATIENT",
    "A07": "OBSERVATION",
    "A14": "PREADMIT",
}


class Mapped(NamedTuple):
    """A value, or ``None`` for "not said"; *known* is false where a code could not be mapped."""

    value: str | None
    known: bool = True


def stay_class(
    patient_class: str,
    patient_type: str,
    trigger: str,
    *,
    newborn: bool,
    class_map: Mapping[str, str],
) -> Mapped:
    """
    The class of a stay.

    Args:
        patient_class: PV1-2.
        patient_type: PV1-18, "often where OBS really lives" (messages.md).
        trigger: Of the message; A07 makes an outpatient of an inpatient, which in a hospital bed
            means observation (condition code 44): as plain O the stay would look finished.
        newborn: PV1-4 = N or PV2-36 = Y.
        class_map: The facility's own codes of PV1-18 and PV1-2, in this order.
    """
    own = class_map.get(patient_type) or class_map.get(patient_class)
    if newborn and own is None:
        return Mapped("NEWBORN")
    if own is not None:
        return Mapped(own)
    value = _CLASSES.get(patient_class.upper())
    if value == "OUTPATIENT" and (trigger == "A07" or patient_type.upper() in _OBSERVATION_TYPES):
        return Mapped("OBSERVATION")
    if value is not None:
        return Mapped(value)
    # An empty class on an update says nothing, which is no fault.
    fail_safe = _FAIL_SAFE.get(trigger)
    return Mapped(fail_safe, known=not patient_class and fail_safe is None)


# SCH-25, table 0278, without case, blanks and punctuation, and what feeds write instead.  Numbers
# and unknown words say nothing (``data/README.md`` trap 9).
_STATUSES: Final = {
    "booked": "booked",
    "overbook": "booked",
    "scheduled": "booked",
    "confirmed": "booked",
    "rescheduled": "booked",
    # A slot is held, only its confirmation is outstanding; S12 itself is "booking notified".
    "pending": "booked",
    "started": "checked_in",
    "arrived": "checked_in",
    "checkedin": "checked_in",
    "complete": "fulfilled",
    "completed": "fulfilled",
    "fulfilled": "fulfilled",
    "checkedout": "fulfilled",
    "cancelled": "cancelled",
    "canceled": "cancelled",
    "dc": "cancelled",
    "discontinued": "cancelled",
    "waitlist": "cancelled",  # no slot is held (any more)
    "waitlisted": "cancelled",
    "noshow": "no_show",
    "deleted": "entered_in_error",
    "enteredinerror": "entered_in_error",
}


def filler_status(text: str) -> Mapped:
    """What SCH-25 says of an appointment; ``None``: nothing."""
    word = "".join(filter(str.isalpha, text.casefold()))
    if not word:
        return Mapped(None)
    value = _STATUSES.get(word)
    return Mapped(value, known=value is not None)


_MODALITIES: Final = {
    "video": "video",
    "telehealth": "video",
    "telemedicine": "video",
    "virtual": "video",
    "phone": "phone",
    "telephone": "phone",
    "homevisit": "home",
    "housecall": "home",
    "inperson": "in-person",
    "officevisit": "in-person",
    "office": "in-person",
}


def modality(*texts: str) -> str | None:
    """
    How patient and provider meet, where the appointment's type or reason says so in so many words.

    Only whole phrases count: "home" alone may be a nursing home, and an invented video visit would
    satisfy the seven-day rule.
    """
    for text in texts:
        words = text.casefold().replace("-", " ").split()
        for phrase in (*words, *(one + next_one for one, next_one in pairwise(words))):
            if phrase in _MODALITIES:
                return _MODALITIES[phrase]
    return None


# XTN-3, table 0202, before XTN-2, table 0201: what sort of line it is says more than for whom.
PHONE_EQUIPMENT: Final = {"CP": "mobile", "FX": "fax", "BP": "pager", "TDD": "tty", "TTY": "tty"}
PHONE_USE: Final = {
    "PRN": "home",
    "ORN": "home",
    "VHN": "home",
    "WPN": "work",
    "EMR": "emergency",
    "PRS": "mobile",
    "HOME": "home",
    "WORK": "work",
    "MOBILE": "mobile",
}
NOT_A_PHONE: Final = frozenset({"INTERNET", "X.400", "NET", "EMAIL"})

# Table 0136 and its words; not F, which in a feed with shifted fields is the sex.
YES: Final = frozenset({"Y", "YES", "TRUE", "1"})
NO: Final = frozenset({"N", "NO", "FALSE", "0"})
