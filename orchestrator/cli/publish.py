"""``publish``: sends files to the topics, of the embedded log or on Kafka (``CARE_RUNTIME``)."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator import log
from orchestrator.cli import on_kafka, site
from orchestrator.cli.console import Step, counted, hint, progress, say, say_json
from orchestrator.cli.faults import No, as_mistakes
from orchestrator.settings import site_key

if TYPE_CHECKING:
    from events.files import Record
    from orchestrator.settings import Settings
    from orchestrator.stream.publish import OnProgress, Report
    from schemas.facilities import Facilities

REFUSED_SHOWN = 20


def run(paths: list[str], *, data_dir: Path | None, facilities: Path | None, as_json: bool) -> None:
    """Send everything in *paths*; say what was sent, refused and not used.

    Raises:
        No: All of it was refused.
    """
    from events.files import read

    here = site.load(data_dir, facilities)
    listed = site.facilities_of(here)
    site.warn_of_empty(here, listed)
    with as_mistakes(), progress() as bar:
        report = sent(read(paths), here, listed, bar("sending"))
    tell(report, here, as_json=as_json)


def sent(
    records: "Iterable[Record]",
    here: "Settings",
    facilities: "Facilities",
    step: Step,
    rate: float | None = None,
) -> "Report":
    """
    Send *records* to where the settings say.

    Args:
        rate: At most so many a second.

    Raises:
        LogError, BrokerAway: It cannot be sent; how much was, is said before.
    """
    log.configure("error", here.log_format)  # what is refused is in the report
    durable = 0

    def on_progress(report: "Report") -> None:
        nonlocal durable
        durable = report.sent.total() + len(report.refused) + report.ignored
        step(durable, 0)

    try:
        return _sent(records, here, facilities, on_progress, rate)
    except BaseException:
        if durable:
            hint(f"{counted(durable, 'record')} were sent before; all may be sent again, no harm")
        raise


def _sent(
    records: "Iterable[Record]",
    here: "Settings",
    facilities: "Facilities",
    on_progress: "OnProgress",
    rate: float | None,
) -> "Report":
    if on_kafka.is_chosen(here):
        from orchestrator.stream.kafka import publish as kafka

        where, key = on_kafka.brokers(here), site_key(here)
        on_kafka.hush()
        return asyncio.run(
            kafka.publish(
                records,
                where,
                facilities,
                key,
                timeout=here.store_timeout,
                on_progress=on_progress,
                rate=rate,
            )
        )
    from orchestrator.stream.publish import publish
    from orchestrator.stream.sqlite_log import Log

    with Log.open(here.data_dir, create=True, partitions=here.partitions) as log:
        return publish(records, log, facilities, on_progress, rate)


def tell(report: "Report", here: "Settings", *, as_json: bool) -> None:
    """Say what became of it.

    Raises:
        No: All of it was refused.
    """
    number, refused = report.sent.total(), len(report.refused)
    if as_json:
        say_json(_for_programs(report))
    else:
        _print(report)
    if not number and not report.ignored and refused:
        raise No(f"nothing was sent: {counted(refused, 'record')} refused, kept as dead letters")
    embedded = here.runtime == "embedded"
    then = f"; `{'up' if embedded else 'worker'}` decides on them" if number else ""
    where = here.data_dir if embedded else here.kafka_bootstrap_servers
    hint(f"{counted(number, 'record')} sent to {where}{then}")


def _for_programs(report: "Report") -> dict[str, Any]:
    refused = [
        {"where": where, "reason": reject.reason, "detail": reject.detail}
        for where, reject in report.refused
    ]
    return {
        "sent": dict(sorted(report.sent.items())),
        "ignored": report.ignored,
        "refused": refused,
    }


def _print(report: "Report") -> None:
    for topic, number in sorted(report.sent.items()):
        say(f"{number:>9,}  {topic}")
    if report.ignored:
        say(f"{report.ignored:>9,}  legal, and not used")
    if report.refused:
        say(f"{len(report.refused):>9,}  care.dead-letter.v1")
    for where, reject in report.refused[:REFUSED_SHOWN]:
        hint(f"  {where}  {reject.reason}  {reject.detail}")
    if len(report.refused) > REFUSED_SHOWN:
        hint(f"  and {len(report.refused) - REFUSED_SHOWN:,} more refused")
