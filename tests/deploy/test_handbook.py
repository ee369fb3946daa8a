"""The operators' handbook, as far as it can be checked without a broker (else: tests/e2e)."""

import re
import shlex
from datetime import timedelta
from typing import Final

import yaml

from schemas.topics import TOPICS
from tests.deploy import compose
from tests.deploy.compose import ROOT
from tests.markdown import blocks, rows

PAGE: Final = (ROOT / "docs/operate.md").read_text(encoding="utf-8")
GOING_LIVE: Final = (ROOT / "docs/going-live.md").read_text(encoding="utf-8")
LARGEST: Final = 150 * 1024  # of a picture, in bytes


def test_command_lines_of_the_handbook_exist() -> None:
    """Each is read by our program's parser; `tests/e2e` runs all, every test run the first ones."""
    pages = PAGE + GOING_LIVE
    shown = "".join(one.text for one in blocks(pages) if one.language in ("console", "sh"))
    lines = re.findall(r"docker compose run --rm (?:--env \S+ |-T )?care ([^|<>;\n]*)", shown)
    lines += re.findall(r"worklist care-orchestrator ([^|>;\n]*)", shown)

    assert len(lines) > 35
    for line in lines:
        assert compose.parse(shlex.split(line))[0], line


def test_retention_is_as_the_page_says() -> None:
    """The table's numbers of days are those of the topics' registry."""
    section = PAGE.partition("## Retention")[2].partition("\n## ")[0]
    days = {row[0]: row[1] for row in rows(section) if row[1].endswith("days")}
    told: dict[str, timedelta] = {}
    for names, kept in days.items():
        for name in re.findall(r"`(care\.[a-z.-]+\.v1)`", names):
            told[name] = timedelta(days=int(kept.split()[0]))

    assert set(told) == {
        "care.admission.v1", "care.dead-letter.v1", "care.journal.v1", "care.change.v1",
        "care.audit.v1",
    }  # fmt: skip
    assert {name: TOPICS[name].retention for name in told} == told


def test_links_lead_somewhere() -> None:
    """Every section that the page refers to is there, and every file that it names."""
    titles = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    named = set(re.findall(r"`((?:tests|deploy|docs)/[\w./-]+)`", PAGE))
    made = {name for name in named if name.startswith("deploy/secrets")}

    linked = re.findall(r"\]\(#([^)]+)\)", PAGE)
    linked += re.findall(r"\]\(operate\.md#([^)]+)\)", GOING_LIVE)
    assert set(linked) <= anchors
    assert {name for name in named - made if not (ROOT / name).exists()} == set()


def test_pictures_are_there_small_and_shown() -> None:
    """Each that the script makes is on the page and says what it shows; none is left over."""
    shown = re.findall(r"!\[.{20,}\]\(images/([\w-]+)\.png\)", GOING_LIVE)
    made = (ROOT / "tests/browser/screenshots.py").read_text(encoding="utf-8")
    files = {path.stem: path.stat().st_size for path in (ROOT / "docs/images").iterdir()}

    assert set(shown) == set(re.findall(r'take\(page, "([\w-]+)"\)', made)) == set(files)
    assert {name for name, size in files.items() if size > LARGEST} == set()


def test_there_is_no_runbook_without_an_alert() -> None:
    """A section for an alert that is gone would be looked for in vain."""
    section = PAGE.partition("## Alerts")[2].partition("\n## ")[0]
    rules = yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text(encoding="utf-8"))
    names = [rule["alert"] for group in rules["groups"] for rule in group["rules"]]

    assert re.findall(r"^### (.+)$", section, re.MULTILINE) == names


def test_doors_are_those_of_the_compose_file() -> None:
    """Each published port stands in the table of doors, and no other does."""
    ports = [port for one in compose.services().values() for port in one.raw.get("ports", [])]
    told = re.findall(r"^\| `127\.0\.0\.1:(\d+)`", PAGE, re.MULTILINE)

    assert sorted(told) == sorted(port.split(":")[1] for port in ports)
