"""`make bench` takes every figure and writes it down; how large it is is no test's business."""

from pathlib import Path

import orjson
import pytest
from structlog.testing import capture_logs

from bench.__main__ import main


@pytest.mark.slow
def test_quick_run_takes_every_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody who changed the core sees within a minute what it costs."""
    with capture_logs():
        assert main(["--quick", "--events", "200", "--results", str(tmp_path)]) == 0
    for name in ("speed", "durable", "age", "state", "patients"):
        written = orjson.loads((tmp_path / f"{name}.json").read_bytes())
        assert written["run"]["quick"] is True
        assert written["figures"]
        assert all(figure["value"] > 0 for figure in written["figures"])
        assert (tmp_path / f"{name}.md").read_text(encoding="utf-8")
    assert "core, in order" in capsys.readouterr().out


def test_unknown_name_is_a_mistake_that_names_the_benches(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped name ends with the list, not with a figure of something else."""
    with pytest.raises(SystemExit, match="2"):
        main(["sped", "--results", str(tmp_path)])
    assert "speed, durable, age, state, patients" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
