"""A broker with TLS, passwords and ACLs: every process of the product gets through, or says why."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from orchestrator.core.instants import DAY, written
from orchestrator.stream.clock import RealClock
from orchestrator.stream.kafka.connection import Kafka, UnusableConnection
from tests.kafka.broker import NoKafka
from tests.kafka.commands import decided, run, worker
from tests.kafka.conftest import no_kafka
from tests.kafka.secured import OPERATOR, PASSWORDS, PUBLISHER, Secured, secured

WRONG: Final = "a-wrong-password"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """One for all of them: making certificates takes a while."""
    try:
        with secured(tmp_path_factory.mktemp("secured") / "broker") as running:
            yield running
    except NoKafka as missing:
        no_kafka(missing)


def told(text: str) -> str:
    """*text*, once it is known to hold no password."""
    for password in (WRONG, *PASSWORDS.values()):
        assert password not in text
    return text


async def test_every_process_gets_through(broker: Secured, tmp_path: Path) -> None:
    """Topics, a publisher that may only write, both halves of the worker, a reader."""
    operator = broker.settings() | {"CARE_GROUP": "secured"}
    assert (await run("topics", "create", **operator)).code == 0
    ten_days_ago = written(RealClock().now() - 10 * DAY)[:10]
    await run("simulate", "--out", tmp_path, "--patients", "20", "--start", ten_days_ago)
    operator["CARE_FACILITIES"] = str(tmp_path / "facilities.yaml")

    sent = await run("publish", tmp_path / "feed", **broker.settings(PUBLISHER))
    assert (sent.code, told(sent.err).startswith("nothing")) == (0, False)
    async with worker(tmp_path / "worker.log", **operator) as running:
        await decided(broker.kafka(), "secured", running)
        running.terminate()
        assert await running.wait() == 0
    told((tmp_path / "worker.log").read_text())
    tasks = await run("topics", "read", "care.task.v1", "--json", **operator)
    assert (tasks.code, bool(tasks.rows)) == (0, True)

    hidden = await run("topics", "read", "care.task.v1", **broker.settings(PUBLISHER))
    assert (hidden.code, "is no topic that this user sees" in hidden.err) == (2, True)


@pytest.mark.parametrize("words", [["topics", "check"], ["worker"], ["publish", "f"]])
async def test_a_wrong_password_is_one_clear_line(
    broker: Secured, tmp_path: Path, words: list[str]
) -> None:
    """Exit 3, the settings at fault by name, and no password in any text."""
    (tmp_path / "f").write_text('{"type": "x"}')
    given = [str(tmp_path / word) if word == "f" else word for word in words]
    ended = await run(*given, **broker.settings() | {"CARE_KAFKA_PASSWORD": WRONG})

    assert ended.code == 3
    assert told(ended.err).splitlines()[-1] == (
        f"care-orchestrator: {broker.bootstrap}:"
        " the broker refuses CARE_KAFKA_USERNAME with CARE_KAFKA_PASSWORD"
    )


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("CA", None, "not trusted (CARE_KAFKA_CA)"),
        ("USERNAME", "nobody", "refuses CARE_KAFKA_USERNAME"),
        ("SASL_MECHANISM", "PLAIN", "does not take PLAIN (CARE_KAFKA_SASL_MECHANISM)"),
        ("SECURITY_PROTOCOL", "PLAINTEXT", "CARE_KAFKA_SECURITY_PROTOCOL is PLAINTEXT"),
        ("SECURITY_PROTOCOL", "SASL_PLAINTEXT", "CARE_KAFKA_SECURITY_PROTOCOL is SASL_PLAINTEXT"),
    ],
)
async def test_what_the_broker_does_not_take_is_named(
    broker: Secured, setting: str, value: str | None, says: str
) -> None:
    """Who set it up learns which setting to look at."""
    # A process of its own, as for users: in this one, aiokafka would leave a refused TLS
    # connection half closed behind the end of the test's loop.
    given = broker.settings() | {f"CARE_KAFKA_{setting}": value or ""}
    if value is None:
        del given[f"CARE_KAFKA_{setting}"]
    ended = await run("topics", "check", **given)

    assert (ended.code, says in told(ended.err)) == (3, True), ended.err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"password": None}, "needs CARE_KAFKA_USERNAME and CARE_KAFKA_PASSWORD"),
        ({"ca": Path("/nowhere/ca.pem")}, "CARE_KAFKA_CA: .* No such file"),
        ({"ca": Path(__file__)}, "CARE_KAFKA_CA: .* no certificate"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_anybody_is_asked(
    change: dict[str, Path | None], says: str
) -> None:
    """A mistake of ours, exit 2, whether or not there is a broker."""
    right = Secured("127.0.0.1:1", Path("unused")).kafka(OPERATOR)
    security = replace(right.security, ca=None)
    wrong = Kafka(right.bootstrap, replace(security, **change))  # type: ignore[arg-type]
    for made in (wrong.client, wrong.faust_credentials):
        with pytest.raises(UnusableConnection, match=says) as refused:
            made()
        assert refused.value.exit_code == 2
    told(repr(wrong))
