"""The small forms that many messages share: ids, subjects, codes, providers, instants.

Two stances.  What publishers send (:class:`Said`) is read permissively: unknown fields are kept, an
optional field that is missing means "not said" and ``null`` means "delete what was said before"
(``model_fields_set`` tells them apart), but a known field of the wrong form is an error.  Types are
strict, because handlers read the record as it was sent: ``"25"`` is never quietly 25.
What we publish (:class:`Published`) is exact; a reader ignores fields that it does not know yet.
"""

from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

# Errors of pydantic repeat the input unless told otherwise, and inputs are about patients.
_SAFE: Final = ConfigDict(
    strict=True,
    hide_input_in_errors=True,
    allow_inf_nan=False,
    # ``class`` and ``from`` are fields of the contract and words of Python.
    validate_by_alias=True,
    validate_by_name=False,
    serialize_by_alias=True,
)

LONGEST_ID: Final = 128
LONGEST_SUBJECT: Final = 256

CONTROL: Final = r"\x00-\x1f\x7f-\x9f"
_VISIBLE: Final = rf"[^\s{CONTROL}]"  # at least one, so that a blank is no id
_VISIBLE_BUT_BAR: Final = rf"[^|\s{CONTROL}]"

Id = Annotated[
    str,
    StringConstraints(max_length=LONGEST_ID, pattern=rf"^[^{CONTROL}]*{_VISIBLE}[^{CONTROL}]*$"),
    Field(description="An opaque id: 1 to 128 characters, none of them a control character."),
]
# Optional ids may be blank: interface engines write "" for a field that their source left empty.
# ``events/canonical.py`` takes a blank one out again: not said.
MaybeId = Annotated[
    str,
    StringConstraints(max_length=LONGEST_ID, pattern=rf"^[^{CONTROL}]*$"),
    Field(description="An opaque id; a blank one counts as not said."),
]
Source = Annotated[
    str,
    StringConstraints(max_length=256, pattern=rf"^[^{CONTROL}]*{_VISIBLE}[^{CONTROL}]*$"),
    Field(description="Who sent it; (source, id) names an event."),
]
Subject = Annotated[
    str,
    StringConstraints(
        max_length=LONGEST_SUBJECT,
        pattern=(
            rf"^[^|{CONTROL}]*{_VISIBLE_BUT_BAR}[^|{CONTROL}]*"
            rf"\|[^{CONTROL}]*{_VISIBLE}[^{CONTROL}]*$"
        ),
    ),
    Field(
        description="A person's identifier: authority|identifier, neither of them empty.",
        examples=["GEN|MRN123"],
    ),
]
# Which instant it is, is read in ``events/canonical.py``: that needs the facility's zone.
Instant = Annotated[
    str,
    Field(
        description="RFC 3339 with an offset; without one, in the facility's zone; a bare date is "
        "noon of that local day.",
        examples=["2026-10-06T14:00:00-04:00"],
    ),
]
UtcInstant = Annotated[
    str,
    StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d*[1-9])?Z$"),
    Field(
        description="RFC 3339 in UTC.",
        examples=["2026-10-06T18:00:00Z"],
        json_schema_extra={"format": "date-time"},
    ),
]
Duration = Annotated[
    str,
    StringConstraints(pattern=r"^P(?:\d+D)?(?:T(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?$"),
    Field(description="ISO 8601.", examples=["PT72H"], json_schema_extra={"format": "duration"}),
]


def open_words(*words: str) -> Any:
    """
    A text for which the contract has *words*, but which may hold others.

    An unknown one is not bad input: the fail-safe value is taken and a gap says so.
    """
    return Field(default=None, json_schema_extra={"examples": list(words)})


Alternatives = tuple[tuple[str, ...], ...]


class Said(BaseModel):
    """
    Part of what a publisher says.

    Attributes:
        needs: Alternatives, of which one must be said whole: ``(("name",), ("code",))``.
    """

    model_config = ConfigDict(**_SAFE, extra="allow")

    needs: ClassVar[Alternatives] = ()

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if cls.needs:
            # So that the exported JSON Schema demands what we demand.
            alternatives: list[Any] = [{"required": list(fields)} for fields in cls.needs]
            cls.model_config["json_schema_extra"] = {"anyOf": alternatives}


class SaidInAlternatives(Said):
    """What must carry one of several sets of fields."""

    @model_validator(mode="after")
    def _one_alternative(self) -> Self:
        if not any(all(said(getattr(self, field)) for field in fields) for fields in self.needs):
            raise missing(" or ".join(" with ".join(fields) for fields in self.needs))
        return self


def said(value: object) -> bool:
    """Whether an optional field holds anything: neither missing nor ``null`` nor blank."""
    return value is not None and not (isinstance(value, str) and not value.strip())


def missing(fields: str) -> PydanticCustomError:
    """The error for a rule about missing fields that no single field can carry."""
    return PydanticCustomError("missing_field", "{fields}", {"fields": fields})


class Published(BaseModel):
    """Part of what we publish."""

    model_config = ConfigDict(**_SAFE, extra="ignore")


class CodeValue(Said):
    """A coded value; a bare string stands for ``{"code": …}``."""

    system: str | None = None
    code: str | None = None
    text: str | None = None


Code = CodeValue | str


class Provider(Said):
    """A practitioner or an organisation."""

    npi: str | None = None
    name: str | None = None
    specialty: Code | None = None
    organization: str | None = None
    is_pcp: bool | None = None


class OtherIdentifier(Said):
    """Another identifier of the same person."""

    authority: str | None = None
    value: str | None = None
    type: str | None = None


class Data(Said):
    """What any event may carry in ``data``."""

    visit_number: MaybeId | None = None
    facility: MaybeId | None = None
    identifiers: list[OtherIdentifier | str] | None = None
    sequence: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = Field(
        default=None,
        description="Orders statements of one recordedtime; the greater holds.",
    )
