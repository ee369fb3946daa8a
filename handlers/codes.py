"""Parallel codes to the product's own: disposition, class, admission type.

A facility's own map goes first, then HL7 and FHIR.  A code that nothing maps is never refused: it
is passed on as it came (a disposition the policy does not know is an unknown one) or becomes the
fail-safe value (a class nobody knows is INPATIENT), and `unmapped` names the field, so that the
gap ``DATA_QUALITY`` says so.  Sources: NUBC FL 17, HL7 tables 0004, 0007, FHIR R4
discharge-disposition, v3-ActCode; ``domain/messages.md``.
"""

from collections.abc import Mapping
from typing import Any, Final

from schemas.facilities import STAY_CLASSES, Facility

# https://www.nubc.org, patient discharge status.
NUBC: Final = frozenset(
    f"{code:02}"
    for code in (*range(1, 10), 20, 21, 30, *range(40, 44), 50, 51, *range(61, 67), 69, 70)
) | frozenset(str(code) for code in range(81, 96))

# http://terminology.hl7.org/CodeSystem/discharge-disposition; "oth" stays unknown on purpose.
FHIR_DISPOSITIONS: Final = {
    "home": "01",
    "alt-home": "01",
    "other-hcf": "70",
    "hosp": "50",  # hospice, not hospital
    "long": "63",
    "aadvice": "07",
    "exp": "20",
    "psy": "65",
    "rehab": "62",
    "snf": "03",
}

# HL7 table 0004 and v3-ActCode; O alone is an outpatient, OBS comes by PV1-18 or a class map.
CLASSES: Final = {
    "I": "INPATIENT",
    "E": "EMERGENCY",
    "O": "OUTPATIENT",
    "P": "PREADMIT",
    "R": "RECURRING",
    "B": "INPATIENT",
    "V": "OBSERVATION",
    "S": "OBSERVATION",
    "OBS": "OBSERVATION",
    "IMP": "INPATIENT",
    "ACUTE": "INPATIENT",
    "NONAC": "INPATIENT",
    "EMER": "EMERGENCY",
    "ED": "EMERGENCY",
    "OBSENC": "OBSERVATION",
    "SS": "OBSERVATION",
    "AMB": "OUTPATIENT",
    "VR": "OUTPATIENT",
    "HH": "OUTPATIENT",
    "PRENC": "PREADMIT",
}

# HL7 table 0007 as it is; UB-04 type of admission; words.
ADMIT_TYPES: Final = {
    **{code: code for code in "ACELNRU"},
    "1": "E",
    "2": "U",
    "3": "C",
    "4": "N",
    "5": "A",
    "EMERGENCY": "E",
    "URGENT": "U",
    "ELECTIVE": "C",
    "ROUTINE": "R",
    "NEWBORN": "N",
    "ACCIDENT": "A",
}


def code_of(said: Any) -> str | None:
    """The code of a code field; a bare string is the code; None where only a text was said."""
    if isinstance(said, Mapping):
        said = said.get("code")
    return str(said).strip() or None if said is not None else None


def disposition(said: Any, facility: Facility) -> str | None:
    """NUBC code of two digits; an unmapped one as it came; None for a deleted or empty one."""
    code = code_of(said)
    if code is None:
        return None
    local = facility.disposition_map.get(code)
    if local is not None:
        code = local
    if code.isdigit() and len(code) <= 2 and _is_nubc(said):
        return code.zfill(2)
    return FHIR_DISPOSITIONS.get(code.casefold(), code)


def _is_nubc(said: Any) -> bool:
    system = said.get("system") if isinstance(said, Mapping) else None
    if not system:
        return True
    folded = str(system).casefold()
    return any(known in folded for known in ("nubc", "0112", "6.301.5"))


def stay_class(said: Any, facility: Facility) -> str:
    """One of the contract's classes; INPATIENT for what nobody mapped: a task too many is safer."""
    code = code_of(said) or ""
    mapped = facility.class_map.get(code, code).upper()
    return mapped if mapped in STAY_CLASSES else CLASSES.get(mapped, "INPATIENT")


def admit_type(said: Any) -> str | None:
    """A code of HL7 table 0007; an unmapped one counts as an emergency."""
    code = code_of(said)
    if code is None and isinstance(said, Mapping):
        code = said.get("text")
    return None if code is None else ADMIT_TYPES.get(str(code).upper(), "E")


def unmapped(data: Mapping[str, Any], facility: Facility) -> list[str]:
    """The fields of a visit's event whose codes nothing maps."""
    found = []
    said = data.get("disposition")
    if said is not None:
        code = disposition(said, facility)
        if code is None or (code not in NUBC and code != "00"):
            found.append("disposition")
    said = data.get("class")
    if said is not None:
        code = code_of(said) or ""
        mapped = facility.class_map.get(code, code).upper()
        if mapped not in STAY_CLASSES and mapped not in CLASSES:
            found.append("class")
    said = data.get("admit_type")
    if said is not None and (code_of(said) or "").upper() not in ADMIT_TYPES:
        text = said.get("text") if isinstance(said, Mapping) else None
        if str(text or "").upper() not in ADMIT_TYPES:
            found.append("admit_type")
    return found
