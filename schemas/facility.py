"""One facility and its feeds, as rules and adapters see them (``contract.md`` section 6)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final, Literal, cast, get_args
from zoneinfo import ZoneInfo

from schemas.business_days import Holidays

FacilityType = Literal["acute", "snf", "irf", "ltch", "psych", "home-health", "practice"]
TYPES: Final = cast(tuple[FacilityType, ...], get_args(FacilityType))

# ``contract.md`` section 2, ``admission.opened``.
STAY_CLASSES: Final = (
    "INPATIENT",
    "OBSERVATION",
    "EMERGENCY",
    "OUTPATIENT",
    "SNF",
    "RECURRING",
    "NEWBORN",
    "PREADMIT",
)


@dataclass(frozen=True, slots=True)
class Feed:
    """One sender of a facility (``interfaces.md`` section 2.4)."""

    facility: str
    name: str
    msh3: str | None = None  # ``None``: any
    msh4: str | None = None
    authority: str | None = None  # of identifiers without one of their own (ruling 33)
    charset: str | None = None  # when MSH-18 is empty
    certificate: str | None = None
    fhir_base: str | None = None
    secret: str | None = None  # the name of one, never the secret
    expected_interval: timedelta | None = None
    z_segments: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)

    def takes(self, msh3: str, msh4: str) -> bool:
        return self.msh3 in (None, msh3) and self.msh4 in (None, msh4)


@dataclass(frozen=True, slots=True)
class Facility:
    """One facility in one version.  Its defaults are the contract's built-in ``default``."""

    id: str
    tz: ZoneInfo = field(default_factory=lambda: ZoneInfo("America/New_York"))
    type: FacilityType = "acute"
    name: str | None = None
    holidays: Holidays = field(default_factory=Holidays)
    weekend_staffing: bool = True
    offset_trusted: bool = True  # ``False``: offsets in this sender's times are ignored
    part2_units: tuple[str, ...] = ()  # 42 CFR Part 2: their mere name discloses
    feeds: tuple[Feed, ...] = ()
    disposition_map: Mapping[str, str] = field(default_factory=dict)
    class_map: Mapping[str, str] = field(default_factory=dict)
    expected_interval: timedelta | None = None  # ``None``: silence says nothing
    # Whose identifiers, named beside a patient's own, tell that two records are one person's.
    linking_authorities: tuple[str, ...] = ()
    effective_from: datetime | None = None  # ``None``: since ever

    @property
    def zone(self) -> str:
        return self.tz.key

    def is_business_day(self, day: date) -> bool:
        """Whether *day*, a local date, is neither at the weekend nor a holiday (ruling 4)."""
        return self.holidays.is_business_day(day)
