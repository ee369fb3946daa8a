"""``publish``: sends files to the topics of the embedded log, from where `up` takes them in."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli import site
from orchestrator.cli.console import counted, hint, progress, say, say_json
from orchestrator.cli.faults import No, as_mistakes

if TYPE_CHECKING:
    from orchestrator.stream.publish import Report

REFUSED_SHOWN = 20


def run(paths: list[str], *, data_dir: Path | None, facilities: Path | None, as_json: bool) -> None:
    """Send everything in *paths*; say what was sent, refused and not used.

    Raises:
        No: All of it was refused.
    """
    from events.files import read
    from orchestrator.stream.publish import publish
    from orchestrator.stream.sqlite_log import Log

    here = site.load(data_dir, facilities)
    listed = site.facilities_of(here)
    site.warn_of_empty(here, listed)
    with (
        as_mistakes(),
        Log.open(here.data_dir, create=True, partitions=here.partitions) as log,
        progress() as bar,
    ):
        step = bar("sending")

        def on_progress(report: "Report") -> None:
            step(report.sent.total() + len(report.refused) + report.ignored, 0)

        report = publish(read(paths), log, listed, on_progress)
    sent, refused = report.sent.total(), len(report.refused)
    if as_json:
        say_json(_for_programs(report))
    else:
        _print(report)
    if not sent and not report.ignored and refused:
        raise No(f"nothing was sent: {counted(refused, 'record')} refused, kept as dead letters")
    then = "; `up` decides on them" if sent else ""
    hint(f"{counted(sent, 'record')} sent to {here.data_dir}{then}")


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
