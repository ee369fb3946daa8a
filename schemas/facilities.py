"""The facilities file: what differs from hospital to hospital, as data (``contract.md`` section 6).

Zone, holidays, staffing, feeds and code maps of each facility.  What a facility does not say comes
from the file's ``default``, and what that does not say from the built-in one.  A facility may be
a list of versions, each with its ``effective_from``: a discharge is judged by the version in force
when it happened.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

from schemas.facilities_file import read_facilities
from schemas.facility import STAY_CLASSES, TYPES, Facility, FacilityType, Feed
from schemas.yaml_node import FileFault

__all__ = ["STAY_CLASSES", "TYPES", "Facilities", "Facility", "FacilityType", "Feed"]


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
            return cls(default=Facility("default"))
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
        return cls(*read_facilities(text))

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
        ``default``, or there is no file: then the built-in default serves every facility
        (contract section 6).  A file that leaves a facility out has said that it knows others.
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
            known = replace(self.default or Facility("default"), id=facility)
            if len(self._cache) < 1000:  # senders choose these names; memory must not follow them
                self._cache[facility] = known
        return known
