"""How many open tasks there are, kept with each row that comes, changes or closes.

Every page of My work says how much there is in each group and of whom.  Counted anew, a hundred
thousand rows cost a twentieth of a second each time somebody looks; here they are a few hundred.
Triggers keep it, so it is of the same state of the rows as all else that an answer tells.
"""

import re
from typing import Final

from orchestrator.worklist.model.filters import Where

# What the open tasks are told apart by; due times are too many, and asked of the rows.
COLUMNS: Final = ("team", "facility", "kind", "hurry", "overdue", "born_overdue", "owner")
_SAME: Final = ", ".join(COLUMNS[:-1])
_NAMES: Final = re.compile(r"[a-z_]+")


def _counted(row: str, by: int) -> str:
    values = ", ".join(f"{row}.{column}" for column in COLUMNS[:-1])
    key = f"({_SAME}, holder) = ({values}, ifnull({row}.owner, ''))"
    if by < 0:
        return f"UPDATE tally SET open = open - 1 WHERE {key}; DELETE FROM tally WHERE open = 0;"
    return (
        f"INSERT INTO tally ({_SAME}, holder, open) VALUES ({values}, ifnull({row}.owner, ''), 1)"
        " ON CONFLICT DO UPDATE SET open = open + 1;"
    )


_TABLE: Final = f"""CREATE TABLE tally (
    team TEXT NOT NULL, facility TEXT NOT NULL, kind TEXT NOT NULL, hurry INTEGER NOT NULL,
    overdue INTEGER NOT NULL, born_overdue INTEGER NOT NULL, holder TEXT NOT NULL,
    owner TEXT GENERATED ALWAYS AS (nullif(holder, '')), open INTEGER NOT NULL,
    PRIMARY KEY ({_SAME}, holder)) WITHOUT ROWID"""
_NEW, _OLD = _counted("new", 1), _counted("old", -1)
STATEMENTS: Final = (
    _TABLE,
    "CREATE INDEX tally_over ON tally (open) WHERE open = 0",
    f"CREATE TRIGGER tally_new AFTER INSERT ON tasks WHEN new.open BEGIN {_NEW} END",
    f"CREATE TRIGGER tally_was AFTER UPDATE ON tasks WHEN old.open BEGIN {_OLD} END",
    f"CREATE TRIGGER tally_is AFTER UPDATE ON tasks WHEN new.open BEGIN {_NEW} END",
    f"CREATE TRIGGER tally_gone AFTER DELETE ON tasks WHEN old.open BEGIN {_OLD} END",
)


def answers(where: Where) -> bool:
    """Whether the tally can tell how many open tasks meet *where*."""
    return set(_NAMES.findall(where.sql)) <= set(COLUMNS)
