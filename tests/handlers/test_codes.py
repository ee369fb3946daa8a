"""Parallel codes to the product's own: what each sender's word means, and what nobody mapped."""

from typing import Any

import pytest

from handlers import codes
from schemas.facilities import Facility
from tests.handlers.samples import FACILITIES

GEN = FACILITIES.get("GEN")
MID = FACILITIES.get("MID")
NUBC = "https://www.nubc.org/CodeSystem/PatDischargeStatus"
FHIR = "http://terminology.hl7.org/CodeSystem/discharge-disposition"


@pytest.mark.parametrize(
    ("said", "facility", "expected"),
    [
        ("01", GEN, "01"),
        ("1", GEN, "01"),
        (" 1 ", GEN, "01"),
        ("7", MID, "07"),
        ("62", GEN, "62"),
        ({"code": "3"}, GEN, "03"),
        ({"code": "3", "text": "SNF"}, GEN, "03"),
        ({"system": NUBC, "code": "3"}, GEN, "03"),
        ({"system": "HL70112", "code": "3"}, GEN, "03"),
        ({"system": "urn:oid:2.16.840.1.113883.6.301.5", "code": "3"}, GEN, "03"),
        ({"system": "http://mid.example/dispo", "code": "3"}, MID, "3"),  # not NUBC's 3
        ("HH", GEN, "06"),  # the facility's own word
        ("HOME", GEN, "01"),
        ("11", GEN, "01"),  # the facility's own number goes first
        ("11", MID, "11"),
        ("HH", MID, "HH"),  # nobody mapped it: passed on as it came
        ({"system": FHIR, "code": "home"}, MID, "01"),
        ({"system": FHIR, "code": "alt-home"}, MID, "01"),
        ({"system": FHIR, "code": "other-hcf"}, MID, "70"),
        ({"system": FHIR, "code": "hosp"}, MID, "50"),  # hospice, not hospital
        ({"system": FHIR, "code": "long"}, MID, "63"),
        ({"system": FHIR, "code": "aadvice"}, MID, "07"),
        ({"system": FHIR, "code": "exp"}, MID, "20"),
        ({"system": FHIR, "code": "psy"}, MID, "65"),
        ({"system": FHIR, "code": "rehab"}, MID, "62"),
        ({"system": FHIR, "code": "snf"}, MID, "03"),
        ({"system": FHIR, "code": "oth"}, MID, "oth"),
        ("SNF", MID, "03"),
        (None, GEN, None),
        ("", GEN, None),
        ("  ", GEN, None),
        ({"text": "went home"}, GEN, None),
        ({"code": None, "text": "went home"}, GEN, None),
    ],
)
def test_dispositions(said: Any, facility: Facility, expected: str | None) -> None:
    """The facility's map, then NUBC, then FHIR; anything else as it came (ruling 10)."""
    assert codes.disposition(said, facility) == expected


@pytest.mark.parametrize(
    ("said", "facility", "expected"),
    [
        ("INPATIENT", GEN, "INPATIENT"),
        ("inpatient", GEN, "INPATIENT"),
        ("I", GEN, "INPATIENT"),
        ("E", GEN, "EMERGENCY"),
        ("O", GEN, "OUTPATIENT"),
        ("P", GEN, "PREADMIT"),
        ("R", GEN, "RECURRING"),
        ("B", GEN, "INPATIENT"),  # obstetrics: the mother gets the core
        ("OBS", GEN, "OBSERVATION"),
        ("IMP", GEN, "INPATIENT"),
        ("EMER", GEN, "EMERGENCY"),
        ("OBSENC", GEN, "OBSERVATION"),
        ("AMB", GEN, "OUTPATIENT"),
        ("PRENC", GEN, "PREADMIT"),
        ({"code": "IMP"}, GEN, "INPATIENT"),
        ("OBV", GEN, "OBSERVATION"),  # the facility's own word
        ("DAY", GEN, "OUTPATIENT"),
        ("X", GEN, "EMERGENCY"),
        ("OBV", MID, "INPATIENT"),  # nobody mapped it
        ("?", GEN, "INPATIENT"),
        ({"text": "somewhere"}, GEN, "INPATIENT"),
    ],
)
def test_classes(said: Any, facility: Facility, expected: str) -> None:
    """What nobody mapped is an inpatient: a task too many is safer than one too few."""
    assert codes.stay_class(said, facility) == expected


@pytest.mark.parametrize("code", ["SNF", "NEWBORN", "OBSERVATION", "RECURRING", "PREADMIT"])
def test_the_contracts_own_classes_are_themselves(code: str) -> None:
    """A publisher who uses them needs no map."""
    assert codes.stay_class(code, MID) == code


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        *[(code, code) for code in "ACELNRU"],
        ("e", "E"),
        ("1", "E"),
        ("2", "U"),
        ("3", "C"),
        ("4", "N"),
        ("5", "A"),
        ("ELECTIVE", "C"),
        ("elective", "C"),
        ({"code": "3"}, "C"),
        ({"text": "Routine"}, "R"),
        ({"code": "Q"}, "E"),
        ("9", "E"),
        (None, None),
        ({}, None),
    ],
)
def test_admission_types(said: Any, expected: str | None) -> None:
    """HL7 table 0007; what nobody mapped counts as an emergency, so never as planned."""
    assert codes.admit_type(said) == expected


@pytest.mark.parametrize(
    ("data", "facility", "expected"),
    [
        ({}, GEN, []),
        ({"disposition": "01", "class": "I", "admit_type": "E"}, GEN, []),
        ({"disposition": "HH"}, GEN, []),
        ({"disposition": "HH"}, MID, ["disposition"]),
        ({"disposition": "99"}, GEN, ["disposition"]),
        ({"disposition": {"text": "home"}}, GEN, ["disposition"]),
        ({"disposition": None}, GEN, []),  # deleted is said, not unmapped
        ({"disposition": "00"}, GEN, []),  # blank in many billing systems
        *[({"disposition": str(code)}, GEN, []) for code in range(81, 96)],
        ({"class": "OBV"}, GEN, []),
        ({"class": "OBV"}, MID, ["class"]),
        ({"class": None}, GEN, []),
        ({"admit_type": "Q"}, GEN, ["admit_type"]),
        ({"admit_type": {"text": "Urgent"}}, GEN, []),
        ({"class": "?", "disposition": "?", "admit_type": "?"}, MID,
         ["disposition", "class", "admit_type"]),
    ],
)  # fmt: skip
def test_what_nobody_mapped_is_named(
    data: dict[str, Any], facility: Facility, expected: list[str]
) -> None:
    """Each becomes the gap DATA_QUALITY of its facility, never a refusal (ruling 38)."""
    assert codes.unmapped(data, facility) == expected


def test_every_code_of_the_policy_is_known_here() -> None:
    """A disposition the rules read cannot be reported as unmapped."""
    from schemas.policy import load_policies

    (policy,) = load_policies(None)
    ruled = {code for row in policy.dispositions for code in row.codes}
    assert ruled <= codes.NUBC
