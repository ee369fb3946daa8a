"""The Grafana dashboard: provisioned, complete, and made of metrics that exist."""

import json
from typing import Any, Final

import pytest
import yaml

from orchestrator.ops.names import METRICS
from tests.deploy import compose
from tests.deploy.compose import ROOT
from tests.deploy.metrics import asked, unknown

GRAFANA: Final = ROOT / "deploy/grafana"
BOARD: Final[dict[str, Any]] = json.loads(
    (GRAFANA / "dashboards/lag-and-deadlines.json").read_text(encoding="utf-8")
)
PANELS: Final[list[dict[str, Any]]] = [one for one in BOARD["panels"] if one["type"] != "row"]
EXPRESSIONS: Final = [
    pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")
    for panel in PANELS
    for target in panel["targets"]
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_panel_asks_for_what_there_is(expression: str) -> None:
    """A panel of a misspelt metric would be empty, and nobody would wonder."""
    assert asked(expression)
    assert unknown(expression) == []


def test_what_is_measured_is_shown() -> None:
    """Every metric of this version is on the board; build, sums and ends by another name."""
    shown = {one.metric for panel in PANELS for t in panel["targets"] for one in asked(t["expr"])}
    bases = {name.removesuffix("_bucket").removesuffix("_sum") for name in shown}

    assert set(METRICS) - bases == {
        "kafka_consumergroup_group_lag_seconds",  # of each partition; the board has the worst
        "kafka_consumergroup_group_max_lag",
        "kafka_consumergroup_group_sum_lag",
        "kafka_partition_earliest_offset",
    }


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel["title"]))
def test_a_panel_says_what_it_shows_and_never_zero_for_unknown(panel: dict[str, Any]) -> None:
    """No data has a word, and a gap in time is a gap."""
    defaults = panel["fieldConfig"]["defaults"]

    assert panel["description"] or panel["title"] == "Versions"
    assert defaults["noValue"] not in ("", "0")
    assert defaults.get("custom", {}).get("spanNulls", False) is False


def test_the_board_uses_the_provisioned_source() -> None:
    """One data source, found by its uid, which is Prometheus of the compose file."""
    (source,) = _yaml("provisioning/datasources/prometheus.yaml")["datasources"]
    used = {panel["datasource"]["uid"] for panel in PANELS}
    used |= {target["datasource"]["uid"] for panel in PANELS for target in panel["targets"]}
    services = compose.services()

    assert used == {source["uid"]}
    assert source["type"] == "prometheus"
    assert source["url"] == "http://prometheus:9090"
    assert "127.0.0.1:9090:9090" in services["prometheus"].raw["ports"]


def test_the_board_is_provisioned_where_compose_puts_it() -> None:
    """The folder that Grafana reads is the folder that is mounted; it opens with this board."""
    (provider,) = _yaml("provisioning/dashboards/care.yaml")["providers"]
    grafana = compose.services()["grafana"]
    mounts = dict(volume.split(":")[:2] for volume in grafana.raw["volumes"])
    home = grafana.environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]

    assert mounts["./deploy/grafana/dashboards"] == provider["options"]["path"]
    assert mounts["./deploy/grafana/provisioning"] == "/etc/grafana/provisioning"
    assert home == f"{provider['options']['path']}/lag-and-deadlines.json"


def test_panels_have_their_place() -> None:
    """Ids differ, and no panel lies on another."""
    ids = [panel["id"] for panel in BOARD["panels"]]
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    assert len(ids) == len(set(ids))


def _yaml(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((GRAFANA / name).read_text(encoding="utf-8"))
    return loaded
