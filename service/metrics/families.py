"""Making families of metrics from what was counted."""

from collections.abc import Mapping
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from pushes.store.counted.totals import Buckets, Distribution

_Word = TypeVar("_Word", bound=str)
_Words = TypeVar("_Words", bound=tuple[str, ...])


def gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    """Make a gauge without labels."""
    return GaugeMetricFamily(name, text, value=value)


def gauges(name: str, text: str, label: str, values: Mapping[_Word, float]) -> GaugeMetricFamily:
    """Make a gauge with one label."""
    family = GaugeMetricFamily(name, text, labels=[label])
    for word, value in values.items():
        family.add_metric([str(word)], value)
    return family


def counters(
    name: str, text: str, label: str, values: Mapping[_Word, float]
) -> CounterMetricFamily:
    """Make a counter with one label; `name` is without its `_total`."""
    family = CounterMetricFamily(name, text, labels=[label])
    for word, value in values.items():
        family.add_metric([str(word)], value)
    return family


def histogram(
    name: str,
    text: str,
    labels: tuple[str, ...],
    buckets: Buckets,
    found: Mapping[_Words, Distribution],
) -> HistogramMetricFamily:
    """Make a histogram from distributions by the values of its labels."""
    family = HistogramMetricFamily(name, text, labels=labels)
    for words, distribution in found.items():
        family.add_metric(words, distribution.cumulated(buckets), distribution.sum_s)
    return family
