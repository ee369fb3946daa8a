"""What PV1, PV2, DG1 and IN1 say of a stay, as fields of ``admission.*`` and ``discharge.*``."""

from collections.abc import Mapping
from typing import Final

from events.hl7v2 import codes, providers
from events.hl7v2.draft import Draft, code_value, is_usable_id
from events.hl7v2.identity import VisitNumber
from events.hl7v2.message import Message, Segment

_DIAGNOSES_MAX: Final = 200  # as many as repetitions of a field


def fill(
    draft: Draft,
    message: Message,
    visit: VisitNumber,
    trigger: str,
    class_map: Mapping[str, str],
) -> None:
    """Everything but the times, which depend on the trigger, and the PCP, who is the person's."""
    pv1, pid = message.first("PV1"), message.first("PID")
    fill_class(draft, message, trigger, class_map)
    draft.code("admit_type", pv1, 4)
    draft.code("service", pv1, 10)
    draft.code("admit_source", pv1, 14)
    _location(draft, pv1)
    if doctor := providers.attending(pv1):
        draft.data["attending"] = doctor
    elif pv1.is_null(7):
        draft.data["attending"] = None
    _diagnoses(draft, message)
    _payer(draft, message)
    draft.number("account_number", pid, 18)
    alternate_numbers(draft, pv1, visit)


def fill_class(draft: Draft, message: Message, trigger: str, class_map: Mapping[str, str]) -> None:
    """PV1-2, with what PV1-4, PV1-18 and PV2-36 say about it."""
    pv1 = message.first("PV1")
    newborn = pv1.text(4).upper() == "N" or message.first("PV2").text(36).upper() in codes.YES
    mapped = codes.stay_class(
        pv1.text(2), pv1.text(18), trigger, newborn=newborn, class_map=class_map
    )
    if mapped.value is not None:
        draft.data["class"] = mapped.value
    if not mapped.known:
        draft.doubt("class")


def _location(draft: Draft, pv1: Segment) -> None:
    """PV1-3: the unit as code, as Part 2 units are listed by it; room and bed as text."""
    place = pv1.first(3)
    unit, described = place.text(1), place.text(9)
    text = described or " ".join(part for part in (unit, place.text(2), place.text(3)) if part)
    if unit or text:
        draft.data["location"] = ({"code": unit} if unit else {}) | ({"text": text} if text else {})
    elif pv1.is_null(3):
        draft.data["location"] = None


def _diagnoses(draft: Draft, message: Message) -> None:
    found = []
    for dg1 in message.all("DG1")[:_DIAGNOSES_MAX]:
        value = code_value(dg1.first(3), system=True)
        if not value and (text := dg1.text(4)):
            value = {"text": text}
        if value:
            if kind := dg1.text(6):
                value["type"] = kind  # A admitting, W working, F final (table 0052)
            found.append(value)
    if found:
        draft.data["diagnoses"] = found


def _payer(draft: Draft, message: Message) -> None:
    """The first insurance: IN1-3 its number, IN1-4 its name, IN1-15 the plan's type."""
    in1 = message.first("IN1")
    value = {
        key: text
        for key, text in (
            ("code", in1.text(3)),
            ("text", in1.text(4)),
            ("plan_type", in1.text(15)),
        )
        if text
    }
    if value:
        draft.data["payer"] = value


def alternate_numbers(draft: Draft, pv1: Segment, visit: VisitNumber) -> None:
    """PV1-50, unless it is the visit's own number."""
    if visit.field == "PV1-50":
        return
    numbers = [cx.text(1) for cx in pv1.repetitions(50)]
    numbers = [number for number in numbers if is_usable_id(number)]
    if numbers and numbers != [visit.number]:
        draft.data["alternate_visit_numbers"] = numbers
