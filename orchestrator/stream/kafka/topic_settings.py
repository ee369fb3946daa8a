"""How each topic must be set up on Kafka, and how that differs from what is there.

One list (`schemas.topics`) says what the topics are; here it becomes partition counts and broker
settings.  A difference is never put right silently: another partition count moves patients, and
a shorter retention has already lost what it lost.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, NamedTuple

from schemas.topics import DEAD_LETTER, MAX_MESSAGE_BYTES, TEAMS, TOPICS, Topic, queue_topic

# What decide keeps for itself beside the journal: cells, heads, what was seen; named by us, so
# that the group's name may be chosen freely.
STATE: Final = Topic(
    "care.state.v1",
    "internal",
    "patient key, kind, name",
    "cells, heads and what was seen, as of the last transaction",
    ("decide",),
    ("decide",),
    None,
    max_message_bytes=MAX_MESSAGE_BYTES,
    partitioned=True,
)
# Which site key the records here were made with (`site_key`).
SITE: Final = Topic(
    "care.site.v1",
    "internal",
    "none",
    "a fingerprint of the site key, by the first worker",
    ("worker",),
    ("worker",),
    timedelta(days=36_500),
)
ALL: Final = (*TOPICS.values(), STATE, SITE)
_ONE_LOG: Final = frozenset({DEAD_LETTER, "care.audit.v1", SITE.name})


@dataclass(frozen=True, slots=True)
class Wanted:
    """One topic as it should lie on the broker."""

    name: str
    partitions: int
    fixed: bool  # whether another count is an error: records are found by patient
    replication: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """One topic as it lies there; of its partitions, the one with the fewest replicas counts."""

    partitions: int
    replication: int
    config: Mapping[str, str]


class Difference(NamedTuple):
    """One setting of one topic that is not as it must be."""

    topic: str
    setting: str
    found: str | None  # None: not said
    wanted: str

    def __str__(self) -> str:
        if self.setting == "topic":
            return f"{self.topic}: missing"
        if self.setting == "partitions":
            return f"{self.topic}: {self.found} partitions, not {self.wanted}"
        return f"{self.topic}: {self.setting}={self.found}, not {self.wanted}"


def wanted(partitions: int, replication: int, teams: Iterable[str] = ()) -> list[Wanted]:
    """
    Every topic of the product.

    Args:
        partitions: Of the journal and what follows from it; inputs are made with as many.
        replication: Copies of each record; an acknowledged one is on all but one of them.
        teams: Those of the policy; each has a queue, also if the registry does not know it.
    """
    ours = [queue_topic(team) for team in sorted(set(teams) - set(TEAMS))]
    alike = TOPICS[queue_topic(TEAMS[0])]
    topics = (*ALL, *(replace(alike, name=name) for name in ours))
    return [_wanted(topic, partitions, replication) for topic in topics]


def differences(wanted: Iterable[Wanted], found: Mapping[str, Found]) -> list[Difference]:
    """What is not as it should be; empty: all is well."""
    return [
        Difference(want.name, *said)
        for want in wanted
        for said in _differences(want, found.get(want.name))
    ]


def _differences(want: Wanted, there: Found | None) -> Iterator[tuple[str, str | None, str]]:
    if there is None:
        yield "topic", None, want.name
        return
    if want.fixed and there.partitions != want.partitions:
        yield "partitions", str(there.partitions), str(want.partitions)
    if there.replication < want.replication:
        yield "replication.factor", str(there.replication), str(want.replication)
    for name, value in want.config.items():
        if not _serves(name, there.config.get(name), value):
            yield name, there.config.get(name), value


def _wanted(topic: Topic, partitions: int, replication: int) -> Wanted:
    config = {
        "cleanup.policy": "compact" if topic.compacted else "delete",
        "max.message.bytes": str(topic.max_message_bytes),
        "message.timestamp.type": "LogAppendTime" if topic.append_time else "CreateTime",
        # An acknowledged record outlives one broker, and one broker may be away.
        "min.insync.replicas": str(max(1, replication - 1)),
    }
    if topic.retention is not None:
        config["retention.ms"] = str(topic.retention // timedelta(milliseconds=1))
        config["retention.bytes"] = "-1"
    count = 1 if topic.name in _ONE_LOG else partitions
    return Wanted(topic.name, count, topic.partitioned, replication, config)


def _serves(name: str, value: str | None, least: str) -> bool:
    """Whether a setting does what is asked: a site may keep longer and allow larger records."""
    if value is None:
        return False
    if name == "retention.ms":
        return int(value) == -1 or int(value) >= int(least)
    if name in ("max.message.bytes", "min.insync.replicas"):
        return int(value) >= int(least)
    return value == least
