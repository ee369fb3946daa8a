"""All of a cluster have one site key: under another every patient would be a second one."""

import asyncio
from pathlib import Path
from typing import Final

import pytest

from orchestrator.stream.kafka.broker import admin
from orchestrator.stream.kafka.connection import Kafka
from orchestrator.stream.kafka.site_key import OtherSiteKey, claim, fingerprint, is_ours
from orchestrator.stream.kafka.topic_settings import SITE
from orchestrator.worklist.log.kafka import KafkaFeed
from tests.kafka import world
from tests.kafka.commands import publish_settings, run

OURS: Final = b"0123456789abcdef0123456789abcdef"  # that of `publish_settings`
THEIRS: Final = b"another key of another site here"


async def claims(kafka: Kafka, key: bytes) -> bool:
    """Whether a worker with *key* may start."""
    async with admin(kafka) as broker:
        try:
            await claim(kafka, broker, key)
        except OtherSiteKey:
            return False
        return True


async def test_of_several_first_workers_one_key_wins_for_good(kafka: Kafka) -> None:
    """Started at once with two keys: those of one go on, then and ever after."""
    keys = [OURS, THEIRS] * 3
    first = await asyncio.gather(*(claims(kafka, key) for key in keys))
    later = [await claims(kafka, key) for key in keys]

    assert first == later
    assert sorted(first) == [False] * 3 + [True] * 3
    rows = [row.value for rows in (await world.read(kafka, SITE.name)).values() for row in rows]
    assert rows[0] == fingerprint(OURS if first[0] else THEIRS)


async def test_a_restart_writes_nothing_more(kafka: Kafka) -> None:
    """The topic keeps everything for ever; it must not grow with each start."""
    assert [await claims(kafka, OURS) for _ in range(3)] == [True] * 3
    rows = (await world.read(kafka, SITE.name))[0]
    assert [row.value for row in rows] == [fingerprint(OURS)]
    assert OURS not in rows[0].value
    assert len(rows[0].value) < len(OURS)


async def test_a_worker_with_another_key_is_refused(kafka: Kafka) -> None:
    """Exit 2 with the setting's name, and neither key nor fingerprint; `doctor` finds it, too."""
    settings = publish_settings(kafka)
    assert await claims(kafka, THEIRS)
    for role in ((), ("--role", "intake"), ("--role", "decide")):
        ended = await run("worker", *role, **settings)
        assert ended.code == 2
        assert "CARE_SITE_KEY is not the one" in ended.err
        assert fingerprint(THEIRS).decode() not in ended.err + ended.out
    found = await run("doctor", "--json", **settings)
    levels = {one["name"]: one["level"] for one in found.json["findings"]}
    assert (found.code, levels["site key"]) == (1, "FAIL")


async def test_a_worklist_with_another_key_is_refused(kafka: Kafka, tmp_path: Path) -> None:
    """At its start and at a rebuild; nothing is projected under keys that no topic has."""
    doors = {"CARE_WORKLIST_PORT": "0", "CARE_OPS_PORT": "0", "CARE_DATA_DIR": str(tmp_path)}
    assert await claims(kafka, THEIRS)
    for words in ((), ("--rebuild",)):
        ended = await run("worklist", *words, **publish_settings(kafka), **doors)
        assert ended.code == 2, ended.err
        assert "CARE_SITE_KEY is not the one" in ended.err
    assert not (tmp_path / "worklist.sqlite").exists()


async def test_a_worklist_that_was_there_first_stops_at_a_worker_with_another_key(
    kafka: Kafka,
) -> None:
    """Before the first worker nobody can say; then it reads no further."""
    feed = await asyncio.to_thread(KafkaFeed, kafka, "g", OURS)
    try:
        assert await asyncio.to_thread(feed.sample) is None
        assert await claims(kafka, THEIRS)
        with pytest.raises(OtherSiteKey):
            await asyncio.to_thread(feed.sample)
    finally:
        await asyncio.to_thread(feed.close)


async def test_doctor_tells_a_key_that_nobody_uses_yet_from_ours(kafka: Kafka) -> None:
    """It looks, and claims nothing."""
    settings = publish_settings(kafka)

    async def text() -> str:
        findings = (await run("doctor", "--json", **settings)).json["findings"]
        return next(str(one["text"]) for one in findings if one["name"] == "site key")

    before = await text()
    async with admin(kafka) as broker:
        assert await is_ours(broker, OURS) is None
    assert await claims(kafka, OURS)
    assert "no worker" in before
    assert "same" in await text()
