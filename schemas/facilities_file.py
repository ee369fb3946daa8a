"""Reads the text of a facilities file; a bad one is refused whole, with the line and the field."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final, cast
from zoneinfo import ZoneInfo

from schemas.business_days import CALENDARS, Holidays
from schemas.duration import parse_duration
from schemas.facility import STAY_CLASSES, TYPES, Facility, FacilityType, Feed
from schemas.timestamp import BadTime, parse
from schemas.yaml_node import FileFault, Node, read_yaml

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
    "linking_authorities",
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


def read_facilities(text: str) -> tuple[dict[str, tuple[Facility, ...]], Facility | None]:
    """
    The facilities by id, each with its versions in order of time, and the file's default.

    Raises:
        FileFault: The text is wrong; the message names line and field.
    """
    root = read_yaml(text)
    members = {} if root is None else dict(root.mapping())
    default_node = members.pop("default", None)
    default = None if default_node is None else _default(default_node)
    base = default or Facility("default")
    versions = {key: _versions(key, node, base) for key, node in members.items()}
    _refuse_shared_feeds(versions)
    return versions, default


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
        linking_authorities=a.texts()
        if (a := maybe("linking_authorities"))
        else base.linking_authorities,
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
