"""``schemas export``: the public contract as JSON Schema, for those who publish and consume."""

from pathlib import Path

from orchestrator.cli.console import counted, say, say_json
from orchestrator.cli.faults import as_mistakes


def export(out: Path | None, *, as_json: bool) -> None:
    """Write a file for each schema into *out*, or all as one JSON object on standard output."""
    from schemas import export as contract

    if out is None:
        say_json(contract.export_schemas())
        return
    with as_mistakes():
        files = contract.export(out)
    if as_json:
        say_json({"folder": str(out), "files": sorted(file.name for file in files)})
    else:
        say(f"{counted(len(files), 'schema')} in {out}")
