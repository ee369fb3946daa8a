"""From what pydantic says is wrong with an event to the contract's reason and named fields.

Only names of our own models are ever repeated.  pydantic's locations also hold what the sender
wrote (keys of a free mapping), its messages hold input, so neither is passed on.
"""

import re
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

from events.reject import Reason
from schemas.events import EVENT_TYPES
from schemas.values import CONTROL, LONGEST_ID, LONGEST_SUBJECT, said

# The first of these that occurs is the reason: what cannot be read goes before what breaks a rule.
_ORDER: Final[tuple[Reason, ...]] = (
    "malformed",
    "unsupported-version",
    "missing-patient",
    "missing-visit",
    "missing-field",
    "bad-time",
    "self-merge",
    "identity-conflict",
)
_RULES: Final[dict[str, Reason]] = {
    "missing_field": "missing-field",
    "self_merge": "self-merge",
    "identity_conflict": "identity-conflict",
}
_MISSING: Final[dict[str, Reason]] = {
    "/subject": "missing-patient",
    "/data/visit_number": "missing-visit",
    "/time": "bad-time",
}
_WORDS: Final = {
    "string_type": "must be a text",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "literal_error": "is none of the contract's words",
    "greater_than_equal": "is too small",
    "less_than": "is too large",
    "string_too_long": "is too long",
}
_CONTROL: Final = re.compile(f"[{CONTROL}]")
_SUBJECTS: Final = frozenset({"/subject", "/data/retired", "/data/from", "/data/identifier"})


def _names(model: type[BaseModel], found: set[str], seen: set[type]) -> None:
    """Collects the wire names of *model*'s fields and of all models below it."""
    if model in seen:
        return
    seen.add(model)
    for name, field in model.model_fields.items():
        found.add(field.alias or name)
        pending = [field.annotation]
        while pending:
            annotation = pending.pop()
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                _names(annotation, found, seen)
            pending.extend(get_args(annotation))


def _own_names() -> frozenset[str]:
    found: set[str] = set()
    seen: set[type] = set()
    for known in EVENT_TYPES.values():
        _names(known.model, found, seen)
    return frozenset(found)


_OWN_NAMES: Final = _own_names()


def explain(error: ValidationError) -> tuple[Reason, str, tuple[str, ...]]:
    """
    The reason, a sentence and the JSON pointers for an event that a model refused.

    One reason for all faults together: the first in the order of the contract's table.
    """
    reasons: set[Reason] = set()
    sentences: dict[str, str] = {}  # by pointer: a union complains once per member
    for one in error.errors(include_url=False):
        pointer = _pointer(one["loc"])
        reason, words = _fault(one["type"], pointer, one["input"], one.get("ctx", {}))
        reasons.add(reason)
        if pointer in sentences and sentences[pointer] != words:
            words = "has the wrong form"
        sentences[pointer] = words
    detail = "; ".join(f"{pointer or 'it'} {words}" for pointer, words in sentences.items())
    return next(r for r in _ORDER if r in reasons), detail, tuple(filter(None, sentences))


def _pointer(loc: tuple[int | str, ...]) -> str:
    # The first part is the event's type, added by the union; other parts that are no name of ours
    # are members of a union or keys that the sender chose.
    parts = (str(part) for part in loc[1:] if isinstance(part, int) or part in _OWN_NAMES)
    return "".join("/" + part for part in parts)


def _fault(kind: str, pointer: str, value: Any, ctx: dict[str, Any]) -> tuple[Reason, str]:
    if kind == "missing_field":
        return _RULES[kind], f"lacks {ctx['fields']}"
    if kind in _RULES:
        both = "names one identifier twice" if kind == "self_merge" else "spans two authorities"
        return _RULES[kind], both
    if kind == "missing" or not said(value):
        return _MISSING.get(pointer, "missing-field"), "is missing"
    if pointer == "/specversion" and isinstance(value, str):
        return "unsupported-version", "is not 1.0"
    if kind == "string_type" and pointer.endswith(("_at", "time")):
        return "bad-time", "is not a time"
    if kind == "string_pattern_mismatch" and pointer in _SUBJECTS:
        return _bad_subject(pointer, value)
    if kind == "string_pattern_mismatch":
        return "malformed", f"must be 1 to {LONGEST_ID} characters without control characters"
    return "malformed", _WORDS.get(kind, "has the wrong form")


def _bad_subject(pointer: str, value: str) -> tuple[Reason, str]:
    words = f"must be authority|identifier, {LONGEST_SUBJECT} characters at most"
    if pointer == "/subject" and not _CONTROL.search(value):
        return "missing-patient", words
    return "malformed", words
