"""The facilities file: what differs from hospital to hospital, as data (``contract.md`` section 6).

Zone, holidays, staffing, feeds and code maps of each facility.  What a facility does not say comes
from the file's ``default``, and what that does not say from the built-in one.  A facility may be
a list of versions, each with its ``effective_from``: a discharge is judged by the version in force
when it happened.  A bad file is refused whole, with the line and the field.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Final, Literal, cast, get_args
from zoneinfo import ZoneInfo

from schemas.business_days import CALENDARS, Holidays
from schemas.duration import parse_duration
from schemas.timestamp import BadTime, parse
from schemas.yaml_node import FileFault, Node, read_yaml

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

_INHERITED: Final = (
    "zone",
    "type",
    "holidays",
    "weekend_staffing",
    "offset_trusted",
    "part2_units",
    "disposition_map",
    "class_map",
    "expected_interval",
)
_OWN: Final = (*_INHERITED, "name", "feeds", "effective_from")
_FEED_TEXTS: Final = (
    "msh3",
    "msh4",
    "authority",
    "charset",
    "certificate",
    "fhir_base",
    "secret",
)
_FEED_MAPS: Final = ("z_segments", "options")
_FEED: Final = (*_FEED_TEXTS, *_FEED_MAPS, "expected_interval")
_LONGEST_ID: Final = 128


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
    effective_from: datetime | None = None  # ``None``: since ever

    @property
    def zone(self) -> str:
        return self.tz.key

    def is_business_day(self, day: date) -> bool:
        """Whether *day*, a local date, is neither at the weekend nor a holiday (ruling 4)."""
        return self.holidays.is_business_day(day)


@dataclass(frozen=True)
class Facilities:
    """All that the file says.  ``default`` is ``None`` where the file has none."""

    versions: Mapping[str, tuple[Facility, ...]] = field(default_factory=dict)
    default: Facility | None = None

    @classmethod
    def load(cls, path: str | Path | None) -> "Facilities":
        """
        Read a file; ``None`` is the built-in default for everyone.

        Raises:
            FileFault: It is wrong; the message names file, line and field.
            OSError: It cannot be opened.
        """
        if path is None:
            return cls()
        raw = Path(path).read_bytes()
        try:
            return cls.parse(raw.decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise FileFault(f"{path}: is not UTF-8 text") from None
        except FileFault as fault:
            raise FileFault(f"{path}: {fault}") from None

    @classmethod
    def parse(cls, text: str) -> "Facilities":
        """
        Read the text of a facilities file.

        Raises:
            FileFault: It is wrong; the message names line and field.
        """
        root = read_yaml(text)
        if root is None:
            return cls()
        members = dict(root.mapping())
        default_node = members.pop("default", None)
        default = None if default_node is None else _default(default_node)
        base = default or Facility("default")
        versions = {key: _versions(key, node, base) for key, node in members.items()}
        _refuse_shared_feeds(versions)
        return cls(versions, default)

    def get(self, facility: str | None, at: datetime | None = None) -> Facility:
        """
        The facility as it stood at *at* (aware; ``None``: its newest version).

        An unlisted one is the default under its own name.
        """
        if facility is not None and (versions := self.versions.get(facility)):
            if at is not None:
                for version in reversed(versions):
                    if version.effective_from is None or version.effective_from <= at:
                        return version
                return versions[0]  # before the first that was written down: the oldest known
            return versions[-1]
        return self._unlisted(facility or "")

    def listed(self, facility: str | None) -> bool:
        return facility in self.versions

    def versioned(self, facility: str | None) -> bool:
        """Whether it matters at which instant one asks for the facility."""
        return len(self.versions.get(facility or "", ())) > 1

    def knows_zone(self, facility: str | None) -> bool:
        """
        Whether a time without an offset can be read there: the file lists the facility, or has a
        ``default``.  The built-in default does not count: guessing a zone moves due times.
        """
        return facility is not None and (facility in self.versions or self.default is not None)

    def zone_of(self, facility: str | None, at: datetime | None = None) -> ZoneInfo | None:
        """The zone of times without an offset; ``None``: not known, such times are bad."""
        return self.get(facility, at).tz if self.knows_zone(facility) else None

    def by_feed(self, msh3: str, msh4: str) -> str | None:
        """The facility whose feed this is; the feed that names more of the two goes first."""
        feed = self.feed(msh3, msh4)
        return None if feed is None else feed.facility

    def feed(self, msh3: str, msh4: str) -> Feed | None:
        """The feed itself, for its authority, character set and options."""
        return next((feed for feed in self._feeds if feed.takes(msh3, msh4)), None)

    @cached_property
    def _feeds(self) -> tuple[Feed, ...]:
        feeds = [f for v in self.versions.values() for f in v[-1].feeds if f.msh3 or f.msh4]
        # Both named, then only the facility, then only the application.
        return tuple(sorted(feeds, key=lambda f: (f.msh4 is None, f.msh3 is None)))

    @cached_property
    def _cache(self) -> dict[str, Facility]:
        return {}

    def _unlisted(self, facility: str) -> Facility:
        known = self._cache.get(facility)
        if known is None:
            known = _named(facility, self.default or Facility("default"))
            if len(self._cache) < 1000:  # senders choose these names; memory must not follow them
                self._cache[facility] = known
        return known


def _named(facility: str, base: Facility) -> Facility:
    inherited = {name: getattr(base, "tz" if name == "zone" else name) for name in _INHERITED}
    inherited["tz"] = inherited.pop("zone")
    return Facility(facility, **inherited)


def _default(node: Node) -> Facility:
    node.mapping(_INHERITED)  # a default has no name, no feeds and no versions
    return _facility("default", node, Facility("default"))


def _versions(facility: str, node: Node, base: Facility) -> tuple[Facility, ...]:
    if len(facility) > _LONGEST_ID or not facility.strip() or not facility.isprintable():
        node.fault(f"a facility's id is 1 to {_LONGEST_ID} printable characters")
    if not isinstance(node.value, list):
        return (_facility(facility, node, base),)
    versions = [_facility(facility, item, base) for item in node.items()]
    if not versions:
        node.fault("a list of versions must not be empty")
    for item, version in zip(node.items()[1:], versions[1:], strict=True):
        if version.effective_from is None:
            item.fault("effective_from is needed in every version but the first")
    ordered = sorted(versions, key=_since)
    if len({_since(version) for version in ordered}) < len(ordered):
        node.fault("two versions have the same effective_from")
    return tuple(ordered)


def _since(facility: Facility) -> datetime:
    return facility.effective_from or datetime.min.replace(tzinfo=UTC)


def _facility(facility: str, node: Node, base: Facility) -> Facility:
    said = node.mapping(_OWN)

    def maybe(key: str) -> Node | None:
        found = said.get(key)
        return None if found is None or found.value is None else found

    tz = _zone(zone) if (zone := maybe("zone")) else base.tz
    kind = cast(FacilityType, t.choice(TYPES)) if (t := maybe("type")) else base.type
    feeds = f.mapping() if (f := maybe("feeds")) else {}
    class_map = _class_map(c) if (c := maybe("class_map")) else base.class_map
    return Facility(
        id=facility,
        tz=tz,
        type=kind,
        name=n.text() if (n := maybe("name")) else None,
        holidays=_holidays(h) if (h := maybe("holidays")) else base.holidays,
        weekend_staffing=w.boolean() if (w := maybe("weekend_staffing")) else base.weekend_staffing,
        offset_trusted=o.boolean() if (o := maybe("offset_trusted")) else base.offset_trusted,
        part2_units=p.texts() if (p := maybe("part2_units")) else base.part2_units,
        feeds=tuple(_feed(facility, name, feed) for name, feed in feeds.items()),
        disposition_map=d.text_map() if (d := maybe("disposition_map")) else base.disposition_map,
        class_map=class_map,
        expected_interval=_duration(i)
        if (i := maybe("expected_interval"))
        else base.expected_interval,
        effective_from=_instant(e, tz) if (e := maybe("effective_from")) else None,
    )


def _feed(facility: str, name: str, node: Node) -> Feed:
    said = node.mapping(_FEED)
    texts = {key: said[key].text() for key in _FEED_TEXTS if key in said}
    maps = {key: said[key].text_map() if key in said else {} for key in _FEED_MAPS}
    interval = _duration(said["expected_interval"]) if "expected_interval" in said else None
    return Feed(
        facility,
        name,
        **texts,
        expected_interval=interval,
        z_segments=maps["z_segments"],
        options=maps["options"],
    )


def _zone(node: Node) -> ZoneInfo:
    try:
        return ZoneInfo(node.text())
    except (KeyError, OSError, ValueError):
        node.fault("is not a time zone of the IANA database, such as America/New_York")


def _holidays(node: Node) -> Holidays:
    if isinstance(node.value, list):
        return Holidays("none", frozenset(_date(item) for item in node.items()))
    if isinstance(node.value, str):
        return Holidays(node.choice(CALENDARS))
    said = node.mapping(("calendar", "extra", "minus"))
    calendar = said["calendar"].choice(CALENDARS) if "calendar" in said else "us-federal"
    extra, minus = (
        frozenset(_date(item) for item in said[key].items()) if key in said else frozenset[date]()
        for key in ("extra", "minus")
    )
    return Holidays(calendar, extra, minus)


def _date(node: Node) -> date:
    text = node.text()
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.isoformat() != text:
        node.fault("must be a date such as 2026-11-27")
    return found


def _duration(node: Node) -> timedelta:
    try:
        found = parse_duration(node.text())
    except ValueError:
        found = timedelta(0)
    if found <= timedelta(0):
        node.fault("must be an ISO 8601 duration above zero, such as PT20M")
    return found


def _instant(node: Node, tz: ZoneInfo) -> datetime:
    text = node.text()
    # A bare date is the start of that local day here: versions change at midnight, not at noon.
    day_start = text + "T00:00:00" if len(text) == len("2026-11-27") else text
    try:
        return parse(day_start, tz).at
    except BadTime:
        node.fault("must be a date or an RFC 3339 time")


def _class_map(node: Node) -> dict[str, str]:
    return {key: value.choice(STAY_CLASSES) for key, value in node.mapping().items()}


def _refuse_shared_feeds(versions: Mapping[str, tuple[Facility, ...]]) -> None:
    """Two facilities with one sender: its messages would be filed by the order of the file."""
    owners: dict[tuple[str | None, str | None], str] = {}
    for facility, history in versions.items():
        for feed in history[-1].feeds:
            sender = (feed.msh3, feed.msh4)
            if any(sender) and owners.setdefault(sender, facility) != facility:
                raise FileFault(
                    f"{facility}.feeds.{feed.name}: the same msh3 and msh4 stand at "
                    f"{owners[sender]}; a message can belong to one facility only"
                )
