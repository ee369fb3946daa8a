"""A real Prometheus with the product's own config, but for the addresses of this machine."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import yaml

from tests.deploy.compose import ROOT
from tests.e2e.stack import Stack
from tests.kafka.broker import _free_ports

FOLDER = ROOT / "deploy/prometheus"
START_S = 30.0


class Prometheus:
    """One that runs; questions to its HTTP API."""

    def __init__(self, port: int) -> None:
        self._port = port

    def get(self, path: str, **parameters: str) -> Any:
        """The `data` of an answer; anything but success is an error."""
        with closing(HTTPConnection("127.0.0.1", self._port, timeout=10)) as connection:
            connection.request("GET", f"/api/v1/{path}?{urlencode(parameters)}")
            answer = orjson.loads(connection.getresponse().read())
        assert answer["status"] == "success", (parameters, answer)
        return answer["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What *expression* is now: a list of series."""
        found: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return found

    def is_there(self) -> bool:
        """Whether it answers."""
        try:
            self.query("vector(1)")
        except (OSError, orjson.JSONDecodeError):  # it still reads its files
            return False
        return True


@contextmanager
def scraping(product: Stack, folder: Path) -> Iterator[Prometheus]:
    """
    Prometheus with the product's config and rules, scraping its processes each second.

    Raises:
        FileNotFoundError: It is not installed (Debian's package `prometheus`).
    """
    program = shutil.which("prometheus")
    if program is None:
        raise FileNotFoundError("prometheus")
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        "evaluation_interval": "1s",
    }
    config["rule_files"] = [str(FOLDER / "rules.yml")]
    (port,) = _free_ports(1)
    for job in config["scrape_configs"]:
        named = [n for found in job.pop("dns_sd_configs", []) for n in found["names"]]
        named += [job["job_name"]] if job["job_name"] == "lag" else []
        targets = [f"127.0.0.1:{product.ops[name]}" for name in named]
        job["static_configs"] = [{"targets": targets or [f"127.0.0.1:{port}"]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [program, f"--config.file={folder}/prometheus.yml"]
    command += [f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "prometheus.log").open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        running = Prometheus(port)
        end = time.monotonic() + START_S
        while not running.is_there():
            assert process.poll() is None, "it ended"
            assert time.monotonic() < end, "it does not answer"
            time.sleep(0.2)
        yield running
    finally:
        process.terminate()
        process.wait(20)
