"""Made-up patients: what a registration desk would know about each."""

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Final

from orchestrator.simulate.places import AUTHORITY, PCPS, Provider

GIVEN: Final = {
    "F": ("Acacia", "Bryony", "Clover", "Dahlia", "Fern", "Heather", "Ivy", "Linnet", "Marigold",
          "Olive", "Poppy", "Rosemary", "Sorrel", "Tansy", "Willow", "Zinnia"),
    "M": ("Alder", "Ash", "Birch", "Cedar", "Falcon", "Gorse", "Hawk", "Jasper", "Linden", "Moss",
          "Oak", "Reed", "Robin", "Slate", "Thorn", "Yarrow"),
}  # fmt: skip
FAMILY: Final = (
    "Amberwing", "Bluestem", "Copperleaf", "Duskmeadow", "Elderbrook", "Foxglove", "Goldcrest",
    "Heathstone", "Ironwood", "Kestrelby", "Larkspur", "Mistletoe", "Nightjar", "Oxeye",
    "Pinecone", "Quartzley", "Redstart", "Silverbirch", "Thistledown", "Underleaf", "Vervain",
    "Waxwing", "Yellowhammer", "Zircon",
)  # fmt: skip
LANGUAGES: Final = ("en", "en", "en", "en", "en", "en", "es", "es", "pl", "zh")
RELATIONS: Final = ("spouse", "daughter", "son", "neighbor")
FIRST_NUMBER: Final = 100_000


@dataclass(frozen=True, slots=True)
class Caregiver:
    """Next of kin (HL7 NK1)."""

    name: str
    relation: str
    phone: str


@dataclass(frozen=True, slots=True)
class Person:
    """One patient; *pcp* is None for those whom no practice knows."""

    identifier: str
    family: str
    given: str
    sex: str
    birth_date: date
    phone: str
    language: str
    caregiver: Caregiver | None
    pcp: Provider | None

    @property
    def subject(self) -> str:
        return f"{AUTHORITY}|{self.identifier}"


def person(number: int, born_before: date, rng: Random) -> Person:
    """
    The patient with this number.

    Args:
        number: From 1; its digits appear in the identifier and nowhere else.
        born_before: Patients are 19 to 96 years old on that day.
        rng: This patient's own, so that more patients do not change the first ones.
    """
    sex = rng.choice("FM")
    years = min(96.0, max(19.0, rng.gauss(68, 16)))
    relation = rng.choice(RELATIONS)
    family = rng.choice(FAMILY)
    return Person(
        identifier=str(FIRST_NUMBER + number),
        family=family,
        given=rng.choice(GIVEN[sex]),
        sex=sex,
        birth_date=born_before - timedelta(days=round(years * 365.25)),
        phone=_phone(rng),
        language=rng.choice(LANGUAGES),
        caregiver=Caregiver(f"{rng.choice(GIVEN['F'])} {family}", relation, _phone(rng))
        if rng.random() < 0.6
        else None,
        pcp=rng.choice(PCPS) if rng.random() < 0.88 else None,
    )


def _phone(rng: Random) -> str:
    # 555-0100 to 555-0199 are kept for fiction (North American Numbering Plan).
    return f"+1-{rng.choice((212, 312, 617))}-555-01{rng.randrange(100):02d}"
