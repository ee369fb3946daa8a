"""JSON Patch (RFC 6902) of plain data."""

import copy
from typing import Any, Final

OPERATIONS_MAX: Final = 50


class BadPatch(ValueError):
    """The patch cannot be applied; *pointer* says which of its operations."""

    def __init__(self, pointer: str) -> None:
        super().__init__(pointer)
        self.pointer = pointer


def patched(document: Any, operations: Any) -> Any:
    """
    *document* after *operations*; itself it stays as it is.

    A list that FHIR's JSON leaves out because it is empty is there to be added to.

    Raises:
        BadPatch: Not a patch, one that leads nowhere, or a ``test`` that does not hold.
    """
    if not isinstance(operations, list) or not 0 < len(operations) <= OPERATIONS_MAX:
        raise BadPatch("")
    made = copy.deepcopy(document)
    for number, one in enumerate(operations):
        try:
            made = _applied(made, one)
        except (KeyError, IndexError, TypeError, ValueError):
            raise BadPatch(f"/{number}") from None
    return made


def _applied(document: Any, one: Any) -> Any:
    path, what = _path(one["path"]), one["op"]
    if what == "test":
        if not _same(_at(document, path), one["value"]):
            raise ValueError("test")
        return document
    if what == "remove":
        return _removed(document, path)
    if what == "replace":
        _at(document, path)
        return _put(document, path, copy.deepcopy(one["value"]), replace=True)
    if what == "add":
        return _put(document, path, copy.deepcopy(one["value"]), replace=False)
    if what in ("move", "copy"):
        source = _path(one["from"])
        value = copy.deepcopy(_at(document, source))
        if what == "move":
            if path[: len(source)] == source and path != source:
                raise ValueError("into itself")
            document = _removed(document, source)
        return _put(document, path, value, replace=False)
    raise ValueError("op")


def _path(pointer: Any) -> list[str]:
    """The parts of an RFC 6901 pointer."""
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
        raise ValueError("pointer")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def _at(document: Any, path: list[str]) -> Any:
    for part in path:
        document = (
            document[_index(part, len(document) - 1)] if _is_list(document) else document[part]
        )
    return document


def _is_list(value: Any) -> bool:
    if not isinstance(value, list | dict):
        raise TypeError("leads through a value")
    return isinstance(value, list)


def _index(part: str, last: int) -> int:
    if not part.isascii() or not part.isdigit() or (len(part) > 1 and part[0] == "0"):
        raise ValueError("index")
    if int(part) > last:
        raise IndexError(part)
    return int(part)


def _put(document: Any, path: list[str], value: Any, *, replace: bool) -> Any:
    if not path:
        return value
    *before, last = path
    if last == "-" and len(before) == 1 and isinstance(document, dict):
        document.setdefault(before[0], [])
    holder = _at(document, before)
    if not _is_list(holder):
        holder[last] = value
    elif last == "-" and not replace:
        holder.append(value)
    elif replace:
        holder[_index(last, len(holder) - 1)] = value
    else:
        holder.insert(_index(last, len(holder)), value)
    return document


def _removed(document: Any, path: list[str]) -> Any:
    *before, last = path
    holder = _at(document, before)
    if _is_list(holder):
        del holder[_index(last, len(holder) - 1)]
    else:
        del holder[last]
    return document


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: ``true`` is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
