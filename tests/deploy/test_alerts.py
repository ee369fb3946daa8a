"""Alerts: of metrics that exist, with a runbook each, and seen to speak and to be silent."""

import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from schemas.topics import DEAD_LETTER, TOPICS
from tests.deploy.compose import ROOT
from tests.deploy.metrics import asked, unknown

FOLDER: Final = ROOT / "deploy/prometheus"
RUNBOOKS: Final = ROOT / "docs/operate.md"


def read(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return loaded


RULES: Final[list[dict[str, Any]]] = [
    rule for group in read("rules.yml")["groups"] for rule in group["rules"]
]


def named(rule: dict[str, Any]) -> str:
    return str(rule["alert"])


@pytest.fixture
def promtool() -> str:
    """Prometheus's own checker; Debian's package `prometheus` has it."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("NO PROMTOOL, no alert was tried: apt-get install prometheus")
    return found


@pytest.mark.parametrize(
    "words",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "rules.yml"),
        ("test", "rules", "rules_test.yml"),
    ],
    ids=" ".join,
)
def test_prometheus_takes_them_and_they_do_as_they_say(
    promtool: str, words: tuple[str, ...]
) -> None:
    """Config and rules are read by Prometheus itself; the rules' own tests hold."""
    done = subprocess.run(
        [promtool, *words], cwd=FOLDER, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_an_alert_asks_for_what_there_is(rule: dict[str, Any]) -> None:
    """A misspelt metric or label would be silent for ever."""
    assert asked(rule["expr"])
    assert unknown(rule["expr"]) == []


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_an_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    """How urgent it is, what it means, and a section of the handbook that is there."""
    page = RUNBOOKS.read_text(encoding="utf-8")
    headings = {anchor(line) for line in re.findall(r"^#+ (.+)$", page, re.MULTILINE)}
    file, _, section = rule["annotations"]["runbook_url"].partition("#")

    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"]
    assert (ROOT / file) == RUNBOOKS
    assert section == rule["alert"].lower()
    assert section in headings


def anchor(heading: str) -> str:
    """What a link calls it."""
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


def test_every_alert_is_seen_to_speak_and_to_be_silent() -> None:
    """One that never fires, or always does, is none."""
    cases = [case for test in read("rules_test.yml")["tests"] for case in test["alert_rule_test"]]
    names = {named(rule) for rule in RULES}

    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == names
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == names


def test_no_alert_is_written_twice() -> None:
    """A name is a runbook."""
    assert len({named(rule) for rule in RULES}) == len(RULES)


def test_a_misspelt_metric_is_seen() -> None:
    """The check above can fail: on a metric, a label of a selector, a label of a grouping."""
    assert unknown("sum(care_deadlines_backlogg) > 0") == ["care_deadlines_backlogg"]
    assert unknown('kafka_partition_latest_offset{topics="x"}') == [
        "kafka_partition_latest_offset{topics}"
    ]
    assert unknown("sum by (patient) (care_deadlines_held)") == ["patient"]
    assert unknown("a_total unless on (job) up") == ["a_total"]
    with pytest.raises(ValueError, match="unclosed"):
        asked("sum(up")


def test_a_dead_letter_is_told_of_before_the_brokers_delete_it() -> None:
    """While there is a day or two left, by the retention that the topic really has."""
    (rule,) = [rule for rule in RULES if named(rule) == "CareDeadLettersEnd"]
    days = re.search(r"> (\d+) \* 86400$", rule["expr"])
    kept = TOPICS[DEAD_LETTER].retention
    assert days is not None
    assert kept is not None

    assert timedelta(days=1) <= kept - timedelta(days=int(days[1])) <= timedelta(days=2)
    assert f"after {kept.days} days" in rule["annotations"]["summary"]


def test_rules_of_the_config_are_there() -> None:
    """Prometheus reads the file that is tested, and tests read it too."""
    assert read("prometheus.yml")["rule_files"] == ["rules.yml"]
    assert read("rules_test.yml")["rule_files"] == ["rules.yml"]
    assert Path(FOLDER / "rules.yml").is_file()
