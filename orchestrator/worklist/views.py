"""What of a task, gap or change a caller sees: the role's view, and what consent withholds."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from orchestrator.worklist.access.roles import Principal
from schemas.views import seen

KINDS: Final = ("task", "gap", "transition")


def item(
    kind: str, value: bytes | dict[str, Any], why: str | None, who: Principal
) -> dict[str, Any]:
    """A task, gap or transition as *who* sees it, with ``why`` and ``hidden``."""
    published: dict[str, Any] = orjson.loads(value) if isinstance(value, bytes) else value
    if kind != "transition":
        published = {**published, "contact": None}
    return seen(kind, published, why, who.view or "pseudonymous", part2=who.part2)


def sees_words(who: Principal, *, masked: bool) -> bool:
    """Whether *who* may read notes and answers: they may name what consent withholds."""
    return who.view == "clinical" and (who.part2 or not masked)


def change(
    value: bytes,
    who: Principal,
    *,
    masked: bool = False,
    said: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """
    A change as *who* sees it.

    Args:
        masked: Its thing is masked by now, whatever this version says.
        said: What people said with the commands that brought it.
    """
    plain: dict[str, Any] = {**orjson.loads(value), "said": list(said)}
    hides_patient = who.view not in ("clinical", "minimal")
    hidden = ["patient", "subject"] if hides_patient else []
    masked = masked or any((plain.get(kind) or {}).get("masked") for kind in KINDS)
    if not sees_words(who, masked=masked):
        hidden.append("said")
    inner: dict[str, Any] | None = None
    for kind in KINDS:
        if plain.get(kind) is not None:
            published = {**plain[kind], "masked": masked}
            inner = item(kind, published, plain["why"], who)
            plain[kind] = inner
            plain["why"] = inner["why"]
    if inner is None and hides_patient:
        hidden += [name for name in ("event", "notice", "command") if plain.get(name) is not None]
        hidden.append("why")
    for name in hidden:
        plain[name] = None
    plain["hidden"] = sorted(hidden)
    return plain
