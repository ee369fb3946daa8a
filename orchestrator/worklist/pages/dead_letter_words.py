"""Why a message could not be taken, and what mends it: words for the reasons of the contract."""

import re
from collections.abc import Mapping
from typing import Any, Final

from orchestrator.worklist.retrying import Outcome

REASONS: Final = {
    "malformed": "It cannot be read",
    "unsupported-version": "Of a version that is not known",
    "unknown-type": "Of a kind that is not known",
    "missing-patient": "It does not say whose it is",
    "missing-visit": "It does not say of which visit",
    "missing-field": "A field that is needed is missing",
    "bad-time": "A time that cannot be used",
    "too-large": "It is too large",
    "identity-conflict": "It contradicts who is whom",
    "self-merge": "It merges a record with itself",
    "duplicate-id-different-content": "The same id came with other content",
    "handler-failed": "A fault of ours",
}
CURES: Final = {
    "malformed": "The sender's interface cuts or mangles messages. Mend it there and send again.",
    "unsupported-version": "Have the sender use HL7 v2.3 to v2.8, or the canonical events here.",
    "unknown-type": "If the kind matters, ask for it; else have the sender leave it out.",
    "missing-patient": "An identifier is needed: PID-3, or the event's subject.",
    "missing-visit": "A visit number is needed: PV1-19, PV1-50 or PID-18, or visit_number.",
    "missing-field": "The field that is named is needed. Mend it at the sender and send again.",
    "bad-time": "Times need a date and, but for known facilities, an offset. One that is more"
    " than 24 h ahead can be sent again when it has come; the sender's clock may be wrong.",
    "too-large": "At most 1 MiB an event. Have the sender leave documents out.",
    "identity-conflict": "Somebody who knows the patients must say which of the two is right.",
    "self-merge": "The surviving and the retired identifier are the same; ask the sender.",
    "duplicate-id-different-content": "Have the sender give each message an id of its own.",
    "handler-failed": "Report it, with the place and the process's log line record.failed.",
}
STAGES: Final = {
    "publish": "refused at the door",
    "intake": "refused by intake",
    "decide": "refused while deciding",
}
SINCE: Final = {"1h": "the last hour", "24h": "the last 24 h", "7d": "the last 7 d"}
STATUSES: Final = {"open": "waiting", "retried": "sent again", "discarded": "dropped"}
ENDED: Final = {"retried": "Sent again", "discarded": "Dropped", "edit": "Sent"}
_SEGMENT: Final = re.compile(rb"(?:^|[\r\n])([A-Z][A-Z0-9]{2})\|")
_HEADS: Final = (b"MSH", b"FHS", b"BHS")
# Segments of HL7 v2 that feeds send; three capitals that are none of them may be a name.
_NAMES: Final = """
    ABS ACC ADD AIG AIL AIP AIS AL1 ARQ ARV BHS BLG BTS CTI DB1 DG1 DRG DSC DSP ERR EVN FHS FT1 FTS
    GOL GP1 GP2 GT1 IAM IAR IN1 IN2 IN3 MFA MFE MFI MRG MSA MSH NK1 NPU NST NTE OBR OBX ORC OVR PD1
    PDA PID PR1 PRA PRB PRD PRT PSH PTH PV1 PV2 QAK QPD QRD QRF RCP RF1 RGS RMI ROL RXA RXC RXD RXE
    RXG RXO RXR SAC SCH SFT SPM STF TQ1 TQ2 TXA UAC UB1 UB2
"""
_KNOWN: Final = frozenset(_NAMES.split())
OWN_SEGMENT: Final = "Z.."  # a site's own; what stands for the dots may be anything
SEGMENTS_MAX: Final = 50


def reason(code: str) -> str:
    """A reason in words; one that is new here is shown as it is."""
    return REASONS.get(code, code)


def cure(code: str) -> str:
    return CURES.get(code, "Look at what is wrong, mend it at the sender, and send it again.")


def stage(code: str) -> str:
    return STAGES.get(code, code or "not said")


def segments(raw: bytes) -> list[str]:
    """The names of an HL7 message's segments, without anything that stands in them."""
    if not raw.startswith(_HEADS):
        return []
    names = [name.decode() for name in _SEGMENT.findall(raw)[:SEGMENTS_MAX]]
    plain = [OWN_SEGMENT if name.startswith("Z") else name for name in names]
    return [name for name in plain if name in _KNOWN or name == OWN_SEGMENT]


def outcome(told: Outcome) -> str:
    """``Accepted: 3 tasks changed.``"""
    if told.result == "accepted":
        if not told.tasks:
            return "Accepted: no task changed."
        return f"Accepted: {_count(told.tasks, 'task', 'tasks')} changed."
    if told.result == "ignored":
        return "Accepted: nothing here follows from such a message."
    if told.result == "pending":
        return "Sent. Nothing has been decided on it yet: the system has yet to catch up."
    why = f": {reason(told.reason)}" if told.reason else ""
    return f"Refused again{why}. {told.detail or ''}".strip()


def of_item(item: Mapping[str, Any], *, dry_run: bool) -> str:
    """The same of one letter of many."""
    if dry_run and item["result"] == "accepted":
        return "would be accepted"
    text = outcome(
        Outcome(
            item["result"],
            item["reason"],
            item["detail"],
            item["changes"],
            item["tasks_changed"],
            item["dead_letter"],
        )
    )
    return text.replace("Refused again", "would be refused") if dry_run else text


def of_many(result: Mapping[str, Any]) -> str:
    """``36 would be accepted, 2 not.``"""
    good = result["accepted"] + result["ignored"]
    if not result["letters"]:
        return "No letter waits there any more."
    if result["dry_run"]:
        return f"{good:,} would be accepted, {result['refused']:,} not."
    told = f"{good:,} accepted, {result['refused']:,} refused."
    if result["pending"]:
        told += f" Of {result['pending']:,} nothing has been decided yet."
    return told


def ended(state: str, why: str | None, ended_by: str | None) -> str:
    """How many letters together came to their end, where that is worth a word."""
    if state == "failed":
        return f"It failed ({why}). What was sent by then stays sent; the rest waits."
    if ended_by is not None:
        return f"It ended early ({ended_by}): the log could not be reached. The rest waits."
    return (
        "Stopped. What was sent by then stays sent; the rest waits." if state == "stopped" else ""
    )


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
