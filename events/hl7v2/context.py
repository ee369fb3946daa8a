"""One message on its way to events: what all of them share, read once.

Facility, authority, zone, the clock of the message, its receipt, and when it was entered.
"""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from events.hl7v2 import identity, providers
from events.hl7v2.draft import Draft
from events.hl7v2.header import Header
from events.hl7v2.identity import VisitNumber
from events.hl7v2.message import Message
from events.hl7v2.timestamps import (
    AHEAD_MAX,
    Clock,
    Moment,
    first_readable,
    not_ahead,
    parse_dtm,
)
from events.hl7v2.triggers import Chain
from events.reject import Reject
from schemas.facilities import Facilities, Feed
from schemas.timestamp import BadTime, Timestamp


class Context:
    """The message and its surroundings.  Reading the patient is what may refuse it."""

    def __init__(
        self,
        message: Message,
        header: Header,
        facilities: Facilities,
        feed: Feed | None,
        receipt: Timestamp | None,
    ) -> None:
        """
        Args:
            receipt: When it reached us; ``None`` for files: MSH-7 (ruling 33).

        Raises:
            Reject: ``malformed``: MSH-4 is no usable name.
        """
        self.message = message
        self.header = header
        self.evn = message.first("EVN")
        self.pid = message.first("PID")
        self.pv1 = message.first("PV1")
        self.facility = _facility_of(message, header, facilities, feed)
        self.nameless = not header.facility and feed is None
        # Versions of a facility last years, so the day of the receipt chooses well enough.
        at = _day(message, receipt) if facilities.versioned(self.facility) else None
        self.site = facilities.get(self.facility, at)
        # MSH-3 only where nobody names a facility: the system is then all that tells senders apart.
        self.authority = (feed.authority if feed else None) or header.facility or header.application
        self.clock = Clock(
            facilities.zone_of(self.facility, at), offset_trusted=self.site.offset_trusted
        )
        # MSH-7: it differs in a repeat, so what is taken from it is a stamp, not content.
        self.sent = self.clock.moment(message.first("MSH"), 7)
        self.receipt = receipt or self.sent.stamp
        # In files the receipt may be missing too; then nothing can be too far ahead of it.
        self.latest: datetime | None = self.receipt.at + AHEAD_MAX if self.receipt else None
        if self.sent.stamp is None and not self.sent.unreadable and receipt is not None:
            self.sent = Moment(receipt)  # ruling 36: an empty MSH-7 is the time of receipt
        entered = not_ahead(self.clock.moment(self.evn, 2), self.latest)
        self.recorded = entered if entered.stamp else first_readable((entered, self.sent))
        self.recorded_is_stamp = entered.stamp is None and self.recorded.stamp is not None
        self.time_is_stamp = False
        self._subject: str | None = None
        self._visit: VisitNumber | None = None
        self._pcp: tuple[bool, dict[str, Any] | None] | None = None

    @property
    def subject(self) -> str:
        """
        The patient of PID-3.

        Raises:
            Reject: ``missing-patient`` or ``malformed``.
        """
        if self._subject is None:
            self._subject = identity.subject(self.pid, self.authority)
        return self._subject

    @property
    def visit(self) -> VisitNumber:
        """
        The visit.

        Raises:
            Reject: ``missing-visit`` or ``malformed``.
        """
        if self._visit is None:
            self._visit = identity.visit_number(self.pv1, self.pid)
        if self._visit is None:
            raise Reject(
                "missing-visit", "PV1-19, PV1-50 and PID-18 are all empty", place="PV1^1^19"
            )
        return self._visit

    def primary_care(self, time: Timestamp) -> tuple[bool, dict[str, Any] | None]:
        """What is said of the PCP on the day of *time*; see :func:`providers.primary_care`."""
        if self._pcp is None:
            self._pcp = providers.primary_care(self.message, time.at.strftime("%Y%m%d"))
        return self._pcp

    def happened(self, chain: Chain) -> Timestamp:
        """
        The event's own time by the trigger's *chain*.

        Raises:
            Reject: ``bad-time``: none can be read, or it lies too far ahead of the receipt.
        """
        moment = first_readable(self._stated(chain))
        if moment.stamp is None:
            sent = first_readable((moment, self.sent))
            if sent.stamp is None:
                raise Reject(
                    "bad-time",
                    "no time of the event can be read: PV1, EVN-6, EVN-2, MSH-7",
                    place="EVN^1^2",
                )
            moment, self.time_is_stamp = sent, True
        stamp = moment.stamp
        assert stamp is not None
        if self.latest is not None and stamp.at > self.latest:
            raise Reject(
                "bad-time", "the event lies more than 24 h after its receipt", place="EVN^1^2"
            )
        return stamp

    def _stated(self, chain: Chain) -> list[Moment]:
        moments = []
        if chain == "admitted":
            moments.append(self.clock.moment(self.pv1, 44))
        elif chain == "discharged":
            moments.append(self.clock.moment(self.pv1, 45))
        if chain != "recorded":
            moments.append(self.clock.moment(self.evn, 6))
        moments.append(self.clock.moment(self.evn, 2))
        return moments

    def draft(self, event_type: str, time: Timestamp, subject: str | None = None) -> Draft:
        draft = Draft(event_type, time, subject or self.subject)
        others = identity.other_identifiers(self.pid, self.authority) if subject is None else []
        if others:
            draft.data["identifiers"] = others
        if self.nameless:
            draft.doubt("MSH-4")
        return draft

    def events(self, drafts: list[Draft]) -> list[dict[str, Any]]:
        """The accepted events of the message: its envelope around each of the drafts."""
        event_id = identity.event_id_of(self.header, self.message)
        source = identity.source_of(self.header)
        recorded = self.recorded.stamp
        recorded_text = recorded.text if recorded else None
        receipt_text = self.receipt.text if self.receipt else None
        stamps = ["time"] if self.time_is_stamp else []
        if self.recorded_is_stamp:
            stamps.append("recordedtime")
        found = []
        for number, draft in enumerate(drafts, 1):
            time = draft.time.text
            event: dict[str, Any] = {
                "id": event_id if number == 1 else f"{event_id}#{number}",
                "source": source,
                "type": f"care.{draft.type}.v1",
                "subject": draft.subject,
                "facility": self.facility,
                "lane": self.header.lane,
                "time": time,
            }
            flags = draft.timeflags
            if draft.time.flags:
                flags["time"] = list(draft.time.flags)
            if recorded is not None:
                event["recordedtime"] = recorded_text
                if recorded.flags:
                    flags["recordedtime"] = list(recorded.flags)
            event["receivedtime"] = receipt_text or time
            event["data"] = draft.data
            if flags:
                event["timeflags"] = flags
            if draft.unmapped:
                event["unmapped"] = draft.unmapped
            if stamps:
                event["stamps"] = stamps
            found.append(event)
        return found


def _day(message: Message, receipt: Timestamp | None) -> datetime | None:
    if receipt is not None:
        return receipt.at
    try:
        return parse_dtm(message.first("MSH").text(7)[:8] + "12", ZoneInfo("UTC")).at
    except BadTime:
        return None


def _facility_of(
    message: Message, header: Header, facilities: Facilities, feed: Feed | None
) -> str:
    """
    PV1-3.4 where the site lists it (two hospitals, one system), else the feed's, else MSH-4.

    A sender that names none is the facility ``default`` (``interfaces.md`` section 2.4): a
    discharge is not refused for a name that the receiving site can configure.

    Raises:
        Reject: ``malformed``.
    """
    place = message.first("PV1").text(3, 4)
    if place and facilities.listed(place):
        return place
    if feed is not None:
        return feed.facility
    if not header.facility:
        return "default"
    return identity.printable_id(header.facility, "MSH^1^4")
