"""``schemas export``: the public contract as JSON Schema, for those who publish and consume."""

from pathlib import Path

from orchestrator.cli.console import counted, say, say_json
from orchestrator.cli.faults import as_mistakes


def export(out: Path | None) -> None:
    """Write a file for each schema into *out*, or all as one JSON object on standard output."""
    from schemas.export import export_schemas

    documents = export_schemas()
    if out is None:
        say_json(documents)
        return
    import orjson

    with as_mistakes():
        out.mkdir(parents=True, exist_ok=True)
        for name, document in documents.items():
            raw = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
            (out / f"{name}.json").write_bytes(raw)
    say(f"{counted(len(documents), 'schema')} in {out}")
