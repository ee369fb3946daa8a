"""``doctor``: all settings, and whether what they name can be worked with; exit 1 if not."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestrator.cli import door, on_kafka, site
from orchestrator.cli.console import counted, say, say_json
from orchestrator.cli.faults import NO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.ops.doctor import Finding
    from orchestrator.ops.lag import Sample
    from orchestrator.settings import Settings

_NAME_WIDTH: Final = 12


def run(*, data_dir: Path | None, worker: str | None, as_json: bool) -> None:
    """
    Look at everything, and go on after what is found wrong.

    Args:
        worker: On Kafka, the operators' door of a worker, as in ``host:8012``.

    Raises:
        Mistake: *worker* is no door, or nobody has one here.
    """
    here = site.load(data_dir=data_dir)
    if worker is not None:
        _check_door(here, worker)
    found = list(_findings(here, worker))
    failed = [one for one in found if one.level == "FAIL"]
    warned = [one for one in found if one.level == "warn"]
    if as_json:
        findings = [one._asdict() for one in found]
        say_json({"settings": here.shown(), "findings": findings, "failed": len(failed)})
    else:
        for name, value in here.shown().items():
            say(f"  {name}={value}")
        for one in found:
            say(f"  {one.level:4}  {one.name:{_NAME_WIDTH}} {one.text}")
            if one.cure:
                say(f"        {one.cure}")
        say(f"{len(failed)} failed, {counted(len(warned), 'warning')}")
    if failed:
        sys.exit(NO)


def _check_door(here: "Settings", worker: str) -> None:
    from orchestrator.cli.faults import Mistake

    if not on_kafka.is_chosen(here):
        raise Mistake("--worker is for CARE_RUNTIME=kafka; embedded, the log tells everything")
    host, colon, port = worker.rpartition(":")
    if not (host and colon and port.isdecimal() and 0 < int(port) < 65_536):
        raise Mistake(f"--worker {worker}: must be HOST:PORT, as in localhost:{door.WORKER}")


def _findings(here: "Settings", worker: str | None) -> "Iterator[Finding]":
    from orchestrator.ops import doctor

    yield doctor.of_packages()
    yield from _files(here)
    if on_kafka.is_chosen(here):
        yield from _kafka(here, worker or f"127.0.0.1:{here.ops_port or door.WORKER}")
    else:
        yield from _embedded(here)


def _files(here: "Settings") -> "Iterator[Finding]":
    from orchestrator.cli.faults import Fault
    from orchestrator.ops.doctor import Finding

    try:
        versions = ", ".join(one.version for one in site.policies_of(here))
        yield Finding("ok", "policy", versions)
    except Fault as fault:
        yield Finding("FAIL", "policy", str(fault), "`policy check FILE` says more")
    try:
        listed = site.facilities_of(here)
        named = "built in" if here.facilities is None else str(here.facilities)
        yield Finding("ok", "facilities", f"{named}: {len(listed.versions)} listed")
    except Fault as fault:
        yield Finding("FAIL", "facilities", str(fault), "correct the file, or name another")


def _embedded(here: "Settings") -> "Iterator[Finding]":
    from orchestrator.ops import doctor
    from orchestrator.stream.log_errors import LogError
    from orchestrator.stream.sqlite_log import Log

    try:
        with Log.open(here.data_dir, partitions=here.partitions) as log:
            yield doctor.Finding("ok", "log", f"{here.data_dir}, {log.partitions} partitions")
            yield doctor.of_disk(here.data_dir)
            yield doctor.of_clock(log)
            yield from doctor.of_identity(log)
        sample = _sample(here)
        yield doctor.of_lag(sample)
        yield doctor.of_dead_letters(sample)
    except LogError as problem:
        yield doctor.Finding("FAIL", "log", str(problem), "`up` makes a log where there is none")


def _scraped(worker: str) -> str | None:
    """The metrics of a worker; what only it knows."""
    import urllib.request

    try:
        with urllib.request.urlopen(f"http://{worker}/metrics", timeout=5) as answer:
            text: str = answer.read().decode()
            return text
    except OSError:
        return None


def _kafka(here: "Settings", worker: str) -> "Iterator[Finding]":
    from orchestrator.ops import doctor
    from orchestrator.stream.kafka.broker import Admin, BrokerAway
    from orchestrator.stream.kafka.connection import UnusableConnection
    from orchestrator.stream.kafka.topic_settings import differences, wanted

    must = wanted(here.partitions, here.replication)

    async def wrong(broker: Admin) -> list[str]:
        found = await broker.found(one.name for one in must)
        return [str(one) for one in differences(must, found)]

    try:
        differing = on_kafka.ask(wrong, here)
        yield doctor.Finding("ok", "brokers", "answer")
        yield doctor.of_topics(differing)
        yield _site_key(here)
        sample = _sample(here)
        yield doctor.of_lag(sample)
        yield doctor.of_dead_letters(sample)
        yield from doctor.of_worker(worker, _scraped(worker))
    except (BrokerAway, UnusableConnection) as problem:
        yield doctor.Finding("FAIL", "brokers", str(problem), "see CARE_KAFKA_… in the README")


def _site_key(here: "Settings") -> "Finding":
    from orchestrator.ops import doctor
    from orchestrator.stream.kafka.site_key import is_ours

    if here.site_key is None:
        cure = "every worker and worklist needs the same CARE_SITE_KEY"
        return doctor.Finding("FAIL", "site key", "CARE_SITE_KEY is not set", cure)
    key = here.site_key.get_secret_value().encode()
    return doctor.of_site_key(on_kafka.ask(lambda broker: is_ours(broker, key), here))


def _sample(here: "Settings") -> "Sample":
    from orchestrator.ops.lag import Judge

    behind = int(here.behind_after.total_seconds() * 1_000_000)
    with door.looks(here)() as look:
        seen = look.look()
    judged: Any = Judge(behind, behind)
    sample: Sample = judged.judge(
        seen.readings, seen.at, seen.cluster, seen.bounds, seen.deadlines, seen.clock
    )
    return sample
