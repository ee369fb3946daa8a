"""Where a discharge leads, by its disposition: the table of messages.md and rulings 10.

Codes are NUBC, left-padded to two digits; 81 to 95 are their base code with a planned readmission.
"""

from typing import Final, Literal

Kind = Literal[
    "home", "unknown", "ama", "law", "transfer", "facility", "expired", "hospice", "none"
]

CODES: Final[dict[str, Kind]] = {
    **dict.fromkeys(("01", "04", "06", "64"), "home"),
    "07": "ama",
    "21": "law",
    **dict.fromkeys(("02", "05", "43", "66"), "transfer"),
    **dict.fromkeys(("03", "61", "62", "63", "65", "69", "70"), "facility"),
    **dict.fromkeys(("20", "40", "41", "42"), "expired"),
    **dict.fromkeys(("50", "51"), "hospice"),
    **dict.fromkeys(("09", "30"), "none"),
}
# NUBC 81-95 in order: the same destination, with a planned acute care readmission.
PLANNED: Final = dict(
    zip(
        (str(n) for n in range(81, 96)),
        ("01", "02", "03", "04", "05", "06", "21", "43", "61", "62", "63", "64", "65", "66", "70"),
        strict=True,
    )
)
FHIR: Final[dict[str, Kind]] = {
    "home": "home",
    "alt-home": "home",
    "hosp": "hospice",
    "aadvice": "ama",
    "exp": "expired",
    "psy": "facility",
    "rehab": "facility",
    "snf": "facility",
    "long": "facility",
}


def normalised(code: str | None) -> str:
    code = (code or "").strip()
    return code.zfill(2) if code.isdigit() else code


def kind(code: str | None) -> Kind:
    code = normalised(code)
    return FHIR.get(code.lower()) or CODES.get(PLANNED.get(code, code), "unknown")


def expects_readmission(code: str | None) -> bool:
    return normalised(code) in PLANNED
