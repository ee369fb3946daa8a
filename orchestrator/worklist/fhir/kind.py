"""What a resource type at ``/fhir`` is: who may read it, what it is found by, how it is made."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.worklist.access.roles import Permission
from orchestrator.worklist.api.guard import Call
from orchestrator.worklist.fhir.elements import Resource
from orchestrator.worklist.fhir.params import Parameter
from orchestrator.worklist.model.filters import Where
from orchestrator.worklist.model.lists import Row

Resources = Callable[[Call, sqlite3.Connection, Sequence[str]], list[Resource]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """
    One resource type.

    Attributes:
        path: Its id's name in routes.
        source: The table that is searched, with a column *unique* that is the resource's id.
        visible: The condition on *source* for what the caller may see.
        resources: The resources of ids, in their order, in the caller's view; told to the audit.
        account: What the audit calls one that is not there; ``None``: its id is a patient key.
        orders: By the word of ``_sort`` the column, and whether it runs the other way round.
        summary: The elements that R4 marks as summary (beside ``id`` and ``meta``).
        required: The elements that R4 demands.
    """

    name: str
    permission: Permission
    path: str
    unique: str
    source: str
    visible: Callable[[Call], Where]
    resources: Resources
    account: str | None
    parameters: Mapping[str, Parameter]
    orders: Mapping[str, tuple[str, bool]]
    order: str
    includes: tuple[str, ...] = ()
    summary: tuple[str, ...]
    required: tuple[str, ...]


def rows_of(
    db: sqlite3.Connection, table: str, ids: Sequence[str]
) -> tuple[list[Row], dict[int, int]]:
    """The rows of *table* for *ids*, in their order, and by row number when each was updated."""
    unique, marks = f"{table[:-1]}_id", ", ".join("?" * len(ids))
    found = {
        row[0]: row[1:]
        for row in db.execute(
            f"SELECT {unique}, id, value, why, updated_at FROM {table} JOIN {table}_said USING (id)"
            f" WHERE {unique} IN ({marks})",
            list(ids),
        )
    }
    rows = [Row(*found[one][:3]) for one in ids if one in found]
    return rows, {row[0]: row[3] for row in found.values()}
