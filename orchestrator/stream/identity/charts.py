"""A chart on its way from one home to another: packed into records, and put together again."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

from orchestrator.core import stored
from orchestrator.core.patient import Patient
from orchestrator.stream.identity.desk import Body, Chart

# Well below what one journal record may hold; the patients of one record are few.
PART_BYTES: Final = 256 * 1024

Row = tuple[str, str, bytes]


def packed(chart: Chart, put_away: Iterable[Row]) -> Iterator[Body]:
    """
    The records that carry *chart*.

    Args:
        put_away: Its sealed cells as they are stored.
    """
    patient = chart.patient
    cells: dict[tuple[str, str], list[Any]] = {
        (kind, name): [kind, name, orjson.loads(value), True] for kind, name, value in put_away
    }
    for (kind, name), cell in patient.sealed.items():
        cells[kind, name] = [kind, name, cell.dump(), True]
    for (kind, name), cell in patient.cells.items():
        if kind != "group":
            cells[kind, name] = [kind, name, cell.dump(), False]
    parts = [part for _, part in sorted(_parts(cells.values()))] or [[]]
    for number, part in enumerate(parts):
        yield {
            "part": number,
            "of": len(parts),
            "cells": part,
            **(_rest(chart) if not number else {}),
        }


def _parts(cells: Iterable[list[Any]]) -> Iterator[tuple[int, list[list[Any]]]]:
    part: list[list[Any]] = []
    size = number = 0
    for cell in sorted(cells, key=lambda one: (one[0], one[1])):
        length = len(orjson.dumps(cell))
        if part and size + length > PART_BYTES:
            yield number, part
            number, part, size = number + 1, [], 0
        part.append(cell)
        size += length
    if part:
        yield number, part


def _rest(chart: Chart) -> Body:
    patient = chart.patient
    return {
        "chart": chart.dump(),
        "key": patient.key,
        "counts_as": patient.counts_as,
        "floor": patient.floor,
        "head": stored.dump_head(patient),
        "ledger": stored.dump_ledger(patient.ledger),
    }


def unpacked(parts: dict[int, Body]) -> Chart:
    """The chart that *parts* carry; all of it is to be written where it arrived."""
    first = parts[0]
    patient = Patient(first["head"][1], first["key"])
    stored.load_head(patient, first["head"])
    patient.counts_as, patient.floor = first["counts_as"], first["floor"]
    patient.wake = patient.plan_wake = None
    patient.ledger = stored.load_ledger(first["ledger"])
    patient.ledger_dirty = True
    for number in sorted(parts):
        for kind, name, plain, sealed in parts[number]["cells"]:
            cell = stored.load_cell(kind, plain)
            (patient.sealed if sealed else patient.cells)[kind, name] = cell
            patient.dirty.add((kind, name))
    return Chart(patient, *first["chart"])
