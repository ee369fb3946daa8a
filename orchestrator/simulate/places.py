"""Where the simulated patients go: two hospitals, a nursing facility, their wards and people.

All names are plants, stones and birds, so that nobody can take one for a real person's; phone
numbers are from the range kept for fiction, provider numbers fail their own check digit.
"""

from dataclasses import dataclass
from typing import Final

AUTHORITY: Final = "RIV"  # the one patient index that the three facilities share


@dataclass(frozen=True, slots=True)
class Place:
    """One facility and the words that its feed uses."""

    id: str
    name: str
    zone: str
    type: str
    wards: tuple[str, ...]
    services: tuple[str, ...]

    @property
    def application(self) -> str:
        """MSH-3 of what it sends."""
        return f"{self.id}ADT"


@dataclass(frozen=True, slots=True)
class Provider:
    """A physician or practice, as an appointment or a PV1 names one."""

    npi: str
    family: str
    given: str
    specialty: str
    organization: str
    is_pcp: bool = False

    @property
    def name(self) -> str:
        return f"{self.given} {self.family}"


GEN: Final = Place(
    "GEN", "General", "America/New_York", "acute",
    ("4W", "5E", "6N", "ICU", "TELE"), ("MED", "CAR", "SUR", "PUL"),
)  # fmt: skip
MID: Final = Place(
    "MID", "Midland", "America/Chicago", "acute",
    ("2A", "2B", "3C", "ICU"), ("MED", "SUR", "ORT"),
)  # fmt: skip
SNF1: Final = Place(
    "SNF1", "Willow Court", "America/New_York", "snf", ("EAST", "WEST"), ("SNF",)
)  # fmt: skip
HOSPITALS: Final = (GEN, MID)
PLACES: Final = (GEN, MID, SNF1)

ATTENDINGS: Final = (
    Provider("1999900011", "Granite", "Robin", "hospital medicine", "Riverside Hospitalists"),
    Provider("1999900021", "Larch", "Wren", "cardiology", "Riverside Cardiology"),
    Provider("1999900031", "Basalt", "Jay", "surgery", "Riverside Surgery"),
)
PCPS: Final = (
    Provider("1999900111", "Hazel", "Martin", "family medicine", "Elm Street Practice", True),
    Provider("1999900121", "Rowan", "Dove", "internal medicine", "Elm Street Practice", True),
    Provider("1999900133", "Flint", "Heron", "geriatrics", "Harbor Clinic", True),
    Provider("1999900141", "Juniper", "Lark", "general practice", "Midland Family Care", True),
)
SPECIALISTS: Final = (
    Provider("1999900211", "Onyx", "Finch", "cardiology", "Riverside Cardiology"),
    Provider("1999900221", "Cedar", "Swift", "orthopedics", "Midland Bone and Joint"),
)

# ICD-10-CM.
DIAGNOSES: Final = (
    ("I50.9", "Heart failure, unspecified"),
    ("J18.9", "Pneumonia, unspecified organism"),
    ("J44.1", "COPD with exacerbation"),
    ("N39.0", "Urinary tract infection"),
    ("E11.65", "Type 2 diabetes with hyperglycemia"),
    ("S72.001A", "Fracture of neck of right femur"),
    ("K92.2", "Gastrointestinal hemorrhage"),
    ("A41.9", "Sepsis, unspecified organism"),
)

# NUBC patient discharge status: code, words, out of how many discharges.  The shares are those
# of an ordinary medical ward, roughly; rare codes are there because each is a row of the rules.
DISPOSITIONS: Final = (
    ("01", "Home", 560),
    ("06", "Home with home health", 150),
    ("03", "Skilled nursing facility", 110),
    ("02", "Other acute hospital", 30),
    ("62", "Inpatient rehabilitation", 25),
    ("04", "Custodial care", 15),
    ("07", "Left against advice", 25),
    ("20", "Expired", 20),
    ("50", "Hospice, home", 12),
    ("51", "Hospice, facility", 8),
    ("63", "Long-term care hospital", 8),
    ("65", "Psychiatric hospital", 7),
    ("21", "Court or law enforcement", 5),
    ("81", "Home, planned readmission", 5),
    ("", "", 20),  # nobody entered one
)
# What one hospital's registration desk types instead; the facilities file maps the first two.
LOCAL_DISPOSITIONS: Final = (("HOME", "01"), ("HHC", "06"), ("OTH", ""))


def facilities_yaml() -> str:
    """The facilities file of the three, as `contract.md` §6 has it."""
    lines = [
        "# The simulated facilities (care-orchestrator simulate)",
        "default: {zone: America/New_York, type: acute, holidays: us-federal}",
    ]
    for place in PLACES:
        lines += [
            f"{place.id}:",
            f"  name: {place.name}",
            f"  zone: {place.zone}",
            f"  type: {place.type}",
            f"  feeds: {{adt: {{msh3: {place.application}, msh4: {place.id}}}}}",
            '  disposition_map: {HOME: "01", HHC: "06"}',
        ]
        if place.type == "snf":
            lines.append("  class_map: {SNF: SNF}")
    return "\n".join(lines) + "\n"
