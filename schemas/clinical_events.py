"""Results, documents and referrals (HL7 ORU, MDM, REF)."""

from typing import ClassVar, Literal

from schemas.envelope import Event
from schemas.values import Alternatives, Code, Data, MaybeId, Provider, SaidInAlternatives


class Result(SaidInAlternatives, Data):
    needs: ClassVar[Alternatives] = (("order_id",), ("code",))

    order_id: MaybeId | None = None
    code: Code | None = None
    value: float | str | None = None
    unit: str | None = None
    abnormal: bool | str | None = None  # OBX-8 says which way


class Document(Data):
    kind: Code  # ``discharge-summary`` …
    contents: list[str] | None = None


class Referral(Data):
    reason: Code | None = None
    urgency: Code | None = None
    by: Provider | str | None = None


class ResultFinal(Event):
    type: Literal["care.result.final.v1"]
    data: Result


class DocumentReceived(Event):
    type: Literal["care.document.received.v1"]
    data: Document


class ReferralCreated(Event):
    type: Literal["care.referral.created.v1"]
    data: Referral
