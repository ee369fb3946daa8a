"""What a search asks for: parameters of the type, parameters of the answer, and no others."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from orchestrator.worklist.fhir.kind import Kind
from orchestrator.worklist.fhir.params import BadValue, Parameter, here
from orchestrator.worklist.model.filters import Key, Where, order
from orchestrator.worklist.problems import Problem

COUNT: Final = 50
COUNT_MAX: Final = 200
SUMMARIES: Final = ("true", "text", "data", "count", "false")
TOTALS: Final = ("none", "estimate", "accurate")
ONCE: Final = frozenset({"_sort", "_count", "_summary", "_total", "_format", "_since"})
_PLAIN: Final = re.compile(r"\w{1,64}", re.ASCII)

Said = Sequence[tuple[str, str]]


@dataclass(slots=True)
class Search:
    """
    A search that was understood.

    Attributes:
        said: The parameters that were followed, as they were said.
        named: It names a person: nothing of it may stand in an address.
    """

    kind: Kind
    where: Where
    keys: list[Key] = field(default_factory=list)
    count: int = COUNT
    include: bool = False
    summary: str = "false"
    total: str | None = None
    said: list[tuple[str, str]] = field(default_factory=list)
    named: bool = False


def read(
    kind: Kind, said: Said, visible: Where, *, base: str, lenient: bool, posted: bool
) -> Search:
    """
    What *said* asks for, within what is *visible*.

    Args:
        base: The address of this door, which references may begin with.
        lenient: ``Prefer: handling=lenient``: parameters that are not known are left out.
        posted: It came in a form, where parameters that name a person may stand.

    Raises:
        Problem: ``malformed``: a parameter is not known, or its value is of the wrong form.
    """
    search = Search(kind, visible)
    sort = kind.order
    once(said, kind)
    for name, value in said:
        if name == "_sort":
            sort = value
        elif name in _RESULT:
            _RESULT[name](search, value)
        elif (parameter := _parameter(kind, name)) is not None:
            _condition(search, name, parameter, value, base=base, posted=posted)
        elif lenient:
            continue
        else:
            raise wrong(name, kind)
        search.said.append((name, value))
    try:
        search.keys = order(sort, dict(kind.orders), kind.unique)
    except (KeyError, ValueError):
        raise wrong("_sort", kind) from None
    return search


def _parameter(kind: Kind, name: str) -> Parameter | None:
    plain, colon, modifier = name.partition(":")
    found = kind.parameters.get(plain)
    return found if found is not None and (not colon or modifier in found.modifiers) else None


def refuse_names(kind: Kind, said: Said) -> None:
    """
    What names a person is not said in an address, as addresses are logged.

    Raises:
        Problem: ``malformed``.
    """
    for name, _ in said:
        parameter = _parameter(kind, name)
        if parameter is not None and parameter.posted:
            detail = f"{name} names a person: POST it to {kind.name}/_search, in the form."
            raise Problem("malformed", detail)


def once(said: Said, kind: Kind | None = None) -> None:
    """
    What rules the answer is said once: of two, one would be lost in silence.

    Other parameters may be repeated: all of them hold (R4, 3.1.1.4.17).

    Raises:
        Problem: ``malformed``; names the parameter.
    """
    names = [name for name, _ in said if name in ONCE]
    for name in names:
        if names.count(name) > 1:
            raise wrong(name, kind)


def _condition(
    search: Search, name: str, parameter: Parameter, value: str, *, base: str, posted: bool
) -> None:
    if parameter.posted:
        if not posted:
            refuse_names(search.kind, [(name, value)])
        search.named = True
    try:
        plain = here(value, base) if parameter.type == "reference" else value
        parameter.match(search.where, plain)
    except BadValue:
        raise wrong(name, search.kind) from None


def wrong(name: str, kind: Kind | None = None) -> Problem:
    """*name* is not understood; only what is a plain word is repeated, others may hold anything."""
    plain = name.partition(":")[0]
    named = _PLAIN.fullmatch(plain) or (kind is not None and plain in kind.parameters)
    return Problem("malformed", f"The parameter {plain if named else '?'} is not understood so.")


def _set_count(search: Search, value: str) -> None:
    if not (value.isascii() and value.isdigit()) or len(value) > 9:
        raise wrong("_count")
    search.count = min(int(value), COUNT_MAX)


def _set_include(search: Search, value: str) -> None:
    if value not in search.kind.includes:
        raise wrong("_include")
    search.include = True


def _one_of(name: str, attribute: str, choices: Sequence[str]) -> Callable[[Search, str], None]:
    def set_(search: Search, value: str) -> None:
        if value not in choices:
            raise wrong(name)
        setattr(search, attribute, value)

    return set_


def _format(search: Search, value: str) -> None:
    del search, value  # judged before, for every kind of request


_RESULT: Final[dict[str, Callable[[Search, str], None]]] = {
    "_count": _set_count,
    "_include": _set_include,
    "_summary": _one_of("_summary", "summary", SUMMARIES),
    "_total": _one_of("_total", "total", TOTALS),
    "_format": _format,
}
