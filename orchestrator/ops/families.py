"""Makes Prometheus families from plain numbers; names and labels come from `names` alone."""

from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

from prometheus_client import disable_created_metrics
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from orchestrator.ops.names import METRICS
from orchestrator.stream.status import Histogram

# A second series beside every counter and histogram, which nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]  # theirs

Labels = TypeVar("Labels", bound=tuple[str, ...])
ONE: Final[tuple[str, ...]] = ()


def numbers(name: str, values: Mapping[Labels, float]) -> Iterable[Metric]:
    """A gauge or counter with its series; without any, nothing: never sampled is absent."""
    metric = METRICS[name]
    make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = make(name, metric.help, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    if values:
        yield family


def one(name: str, value: float | None) -> Iterable[Metric]:
    """A gauge or counter without labels; ``None``: not known."""
    return numbers(name, {} if value is None else {ONE: value})


def histograms(name: str, values: Mapping[Labels, Histogram]) -> Iterable[Metric]:
    """A histogram with its series."""
    metric = METRICS[name]
    family = HistogramMetricFamily(name, metric.help, labels=metric.labels)
    for labels, histogram in values.items():
        seen, buckets = 0, []
        counts = list(histogram.counts)
        bounds = [*(str(float(bound)) for bound in histogram.bounds), "+Inf"]
        for bound, count in zip(bounds, counts, strict=True):
            seen += count
            buckets.append((bound, seen))
        family.add_metric(labels, buckets=buckets, sum_value=histogram.sum)
    if values:
        yield family
