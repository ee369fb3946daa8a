"""What becomes of each trigger event: one row per trigger, and nothing about it elsewhere.

A legal trigger is either *used* (the canonical type it becomes, and which time is its own) or
*acknowledged and not used* (accepted, counted, no event).  Other message types of HL7 are *not
read yet*.  What stands in no table is refused as ``unknown-type``.

Sources: HL7 table 0003 (v2.5.1); ``contract.md`` section 2 for the canonical types; rulings 33 to
37 and ``domain/messages.md`` for the meaning.  Where a trigger has no canonical type of its own,
the nearest honest one is taken and the row says why.
"""

from typing import Final, Literal, NamedTuple

# Which field is the event's own time (ruling 33); the first that can be read:
#   admitted    PV1-44, EVN-6, EVN-2, MSH-7
#   discharged  PV1-45, EVN-6, EVN-2, MSH-7
#   recorded    EVN-2, MSH-7
#   occurred    EVN-6, EVN-2, MSH-7
Chain = Literal["admitted", "discharged", "recorded", "occurred"]

# Which function of ``adt.py``, ``merges.py`` or ``siu.py`` fills the data.
Content = Literal[
    "admission",
    "planned",
    "update",
    "discharge",
    "pending-discharge",
    "pending-discharge-cancelled",
    "cancel",
    "plan-cancelled",
    "leave",
    "visit-number",
    "person",
    "merge",
    "link",
    "unlink",
    "move-identifier",
    "move-account",
    "move-visit",
    "appointment",
]


class Used(NamedTuple):
    """A trigger that becomes an event."""

    type: str  # canonical, without `care.` and `.v1`
    time: Chain
    content: Content
    # Whether a second event tells what PID, PD1, ROL and NK1 say of the person.  Only for the
    # triggers of beginnings, ends and corrections: every message repeats PID, and each event more
    # is one more to keep for thirty days.
    person: bool = False


class NotUsed(NamedTuple):
    """A legal trigger that the product acknowledges, counts and leaves at that."""

    why: str


ADT: Final[dict[str, Used | NotUsed]] = {
    "A01": Used("admission.opened", "admitted", "admission", person=True),
    "A02": Used("admission.updated", "occurred", "update"),
    "A03": Used("discharge.recorded", "discharged", "discharge", person=True),
    "A04": Used("admission.opened", "admitted", "admission", person=True),
    "A05": Used("admission.planned", "recorded", "planned", person=True),
    "A06": Used("admission.updated", "occurred", "update"),
    "A07": Used("admission.updated", "occurred", "update"),
    "A08": Used("admission.updated", "occurred", "update", person=True),
    "A09": NotUsed("patient departing, tracking: a place only"),
    "A10": NotUsed("patient arriving, tracking: a place only"),
    "A11": Used("admission.cancelled", "recorded", "cancel"),
    # PV1-3 shows the place before the transfer (messages.md): an update like the transfer itself.
    "A12": Used("admission.updated", "recorded", "update"),
    "A13": Used("discharge.cancelled", "recorded", "cancel"),
    "A14": Used("admission.planned", "recorded", "planned"),
    "A15": NotUsed("pending transfer: a place only"),
    "A16": Used("discharge.pending", "recorded", "pending-discharge"),
    "A17": NotUsed("beds of two patients swapped: places only"),
    "A18": Used("patient.merged", "occurred", "merge"),
    "A19": NotUsed("patient query"),
    "A20": NotUsed("bed status"),
    "A21": Used("admission.left", "occurred", "leave"),
    "A22": Used("admission.returned", "occurred", "leave"),
    "A23": Used("admission.cancelled", "recorded", "cancel"),  # ruling 36: as A11
    # A link says that two records are one person's (v2.5.1 section 3.3.24).  A37, which undoes it,
    # is `patient.unmerged`, so this must be its counterpart; `data.link` says which it was.
    "A24": Used("patient.merged", "occurred", "link"),
    # Takes an A16 back: its statement again, with the expected time deleted.
    "A25": Used("discharge.pending", "recorded", "pending-discharge-cancelled"),
    "A26": NotUsed("pending transfer cancelled: a place only"),
    "A27": Used("admission.cancelled", "recorded", "plan-cancelled"),
    "A28": Used("patient.updated", "occurred", "person"),
    "A29": NotUsed("person deleted: facts are kept, an audit needs them"),
    "A30": Used("patient.merged", "occurred", "merge"),
    "A31": Used("patient.updated", "occurred", "person"),
    "A32": NotUsed("arriving cancelled, tracking: a place only"),
    "A33": NotUsed("departing cancelled, tracking: a place only"),
    "A34": Used("patient.merged", "occurred", "merge"),
    "A35": NotUsed("accounts merged: stays are known by visit (as A41)"),
    "A36": Used("patient.merged", "occurred", "merge"),  # its account half as A41
    "A37": Used("patient.unmerged", "occurred", "unlink"),
    "A38": Used("admission.cancelled", "recorded", "plan-cancelled"),
    "A39": NotUsed("external numbers of PID-2 merged: not an identity here"),
    "A40": Used("patient.merged", "occurred", "merge"),
    "A41": NotUsed("accounts merged: stays are known by visit"),
    "A42": Used("admission.updated", "occurred", "visit-number"),  # visits merged: numbers join
    "A43": Used("patient.identifiers_moved", "occurred", "move-identifier"),
    "A44": Used("patient.visit_moved", "occurred", "move-account"),
    "A45": Used("patient.visit_moved", "occurred", "move-visit"),
    "A46": NotUsed("external number of PID-2 changed: not an identity here"),
    "A47": Used("patient.merged", "occurred", "merge"),  # ruling 36: as A40
    "A48": NotUsed("alternate number of PID-4 changed: not an identity here"),
    "A49": Used("admission.updated", "occurred", "visit-number"),
    "A50": Used("admission.updated", "occurred", "visit-number"),
    "A51": Used("admission.updated", "occurred", "visit-number"),
    # Leave cancelled: the patient is in, as after a return, and A53 the other way round.  In both
    # EVN-6 is when it was cancelled (v2.5.1 sections 3.3.52, 3.3.53), so it is their own time.
    "A52": Used("admission.returned", "occurred", "leave"),
    "A53": Used("admission.left", "occurred", "leave"),
    "A54": Used("admission.updated", "occurred", "update"),
    "A55": Used("admission.updated", "occurred", "update"),  # PV1-7 is the doctor that holds again
    "A60": NotUsed("allergies: no rule reads them"),
    "A61": NotUsed("consulting doctor: no rule reads it"),
    "A62": NotUsed("consulting doctor cancelled: no rule reads it"),
}

SIU: Final[dict[str, Used | NotUsed]] = {
    "S12": Used("appointment.booked", "occurred", "appointment"),
    "S13": Used("appointment.rescheduled", "occurred", "appointment"),
    # Whether the time differs from what was known only the core can see (ruling 37).
    "S14": Used("appointment.rescheduled", "occurred", "appointment"),
    "S15": Used("appointment.cancelled", "occurred", "appointment"),
    "S16": Used("appointment.cancelled", "occurred", "appointment"),
    "S17": Used("appointment.entered_in_error", "occurred", "appointment"),
    # A service or resource of the appointment is added, modified, cancelled, discontinued or
    # deleted: the appointment stands, with what it says now.
    "S18": Used("appointment.rescheduled", "occurred", "appointment"),
    "S19": Used("appointment.rescheduled", "occurred", "appointment"),
    "S20": Used("appointment.rescheduled", "occurred", "appointment"),
    "S21": Used("appointment.rescheduled", "occurred", "appointment"),
    "S22": Used("appointment.rescheduled", "occurred", "appointment"),
    "S23": NotUsed("schedule blocked: nobody's appointment"),
    "S24": NotUsed("schedule opened: nobody's appointment"),
    "S25": NotUsed("schedule query"),
    "S26": Used("appointment.no_show", "occurred", "appointment"),
    "S27": NotUsed("broadcast of scheduled appointments"),
}

USED_TYPES: Final = {"ADT": ADT, "SIU": SIU}

# HL7 table 0076 as far as hospitals send it: legal, and not read in this version.  These words may
# stand in error texts; what a sender wrote may not.
_TYPES = (
    "ADR BAR BPS BRP BRT BTS CCF CCI CCM CCQ CCR CCU CQU CRM CSU DFT DOC DSR EAC EAN EAR EHC "
    "ESR ESU INR INU LSR LSU MDM MFD MFK MFN MFQ MFR NMD NMQ NMR OMB OMD OMG OMI OML OMN OMP "
    "OMQ OMS OPL OPR OPU ORA ORB ORD ORF ORG ORI ORL ORM ORN ORP ORR ORS ORU OSM OSQ OSR OUL "
    "PEX PGL PIN PMU PPG PPP PPR PPT PPV PRR PTR QBP QCK QCN QRY QSB QSX QVR RAR RAS RCI RCL "
    "RDE RDR RDS RDY REF RER RGR RGV ROR RPA RPI RPL RPR RQA RQC RQI RQP RQQ RRA RRD RRE RRG "
    "RRI RSP RTB SCN SDN SDR SIR SLN SLR SMD SQM SQR SRM SRR SSR SSU STC STI SUR TBR TCR TCU "
    "UDM VXQ VXR VXU VXX NPU"
)
NOT_READ_YET: Final = frozenset(_TYPES.split())
# An acknowledgement that reached the inbound door is a loop or a crossed wire: dropped, counted.
ACKNOWLEDGEMENTS: Final = frozenset({"ACK", "MCF"})


def row_of(message_type: str, trigger: str) -> Used | NotUsed | None:
    """The row of a trigger of ADT or SIU; ``None``: in no table."""
    return USED_TYPES[message_type].get(trigger)
