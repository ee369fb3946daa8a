"""Which metrics and labels a PromQL expression asks for, and which there are."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import promql_parser

from orchestrator.ops.names import METRICS

# What Prometheus and its client library add by themselves.
OF_TARGETS: Final = ("job", "instance")
OTHERS: Final[dict[str, tuple[str, ...]]] = {
    "up": OF_TARGETS,
    "ALERTS": (*OF_TARGETS, "alertname", "alertstate", "severity"),
    "process_start_time_seconds": OF_TARGETS,
}


class Asked(NamedTuple):
    """One selector of an expression."""

    metric: str
    labels: tuple[str, ...]


def asked(expression: str) -> list[Asked]:
    """
    The selectors of *expression*.

    Raises:
        ValueError: It is no PromQL.
    """
    return list(_selectors(promql_parser.parse(expression)))


def labels_of_aggregations(expression: str) -> set[str]:
    """What it groups, joins or aggregates by."""
    return set(_grouping(promql_parser.parse(expression)))


def known() -> dict[str, tuple[str, ...]]:
    """Every series name that can exist, with its labels."""
    found = dict(OTHERS)
    for name, metric in METRICS.items():
        labels = (*metric.labels, *OF_TARGETS)
        if metric.kind == "histogram":
            found |= {f"{name}_sum": labels, f"{name}_count": labels}
            found[f"{name}_bucket"] = (*labels, "le")
        else:
            found[name] = labels
    return found


def unknown(expression: str) -> list[str]:
    """What *expression* asks for and nothing exposes: metrics, and labels that they lack."""
    there = known()
    wrong = []
    labels: set[str] = set()
    for one in asked(expression):
        if one.metric not in there:
            wrong.append(one.metric)
            continue
        labels |= set(there[one.metric])
        wrong += [f"{one.metric}{{{name}}}" for name in one.labels if name not in there[one.metric]]
    wrong += [name for name in labels_of_aggregations(expression) if name not in labels]
    return wrong


def _selectors(node: Any) -> Iterator[Asked]:
    if isinstance(node, promql_parser.VectorSelector):
        yield Asked(node.name or "", tuple(one.name for one in node.matchers.matchers))
    for child in _children(node):
        yield from _selectors(child)


def _grouping(node: Any) -> Iterator[str]:
    modifier = getattr(node, "modifier", None)
    if isinstance(node, promql_parser.BinaryExpr):
        modifier = modifier and modifier.matching
    if modifier is not None:
        yield from modifier.labels
    for child in _children(node):
        yield from _grouping(child)


def _children(node: Any) -> Iterator[Any]:
    for name in ("expr", "lhs", "rhs", "vector_selector", "args", "param"):
        child = getattr(node, name, None)
        if isinstance(child, list):
            yield from child
        elif isinstance(child, promql_parser.Expr):
            yield child
