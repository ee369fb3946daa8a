"""The compose file: valid, pinned, closed to the outside, and all that it says exists."""

import argparse
import os
import re
import ssl
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any, Final

import pytest

from orchestrator import settings
from orchestrator.stream.kafka.topic_settings import SITE
from orchestrator.stream.keys import patient_key
from orchestrator.stream.resend import READABLE
from orchestrator.worklist.log.feed import CHANGES, FOLLOWED, GAPS, PATIENTS, TASKS, WRITTEN
from schemas.topics import DEAD_LETTER, INPUTS, JOURNAL
from tests.deploy import compose
from tests.deploy.compose import ROOT, Service

SERVICES: Final = compose.services()
OURS: Final = [service for service in SERVICES.values() if service.is_ours]
ACCESS: Final = ROOT / "deploy/kafka/access.sh"
DECIDED: Final = (TASKS, GAPS, CHANGES, PATIENTS)


def named(service: Service) -> str:
    return service.name


def test_the_file_is_what_compose_reads() -> None:
    """It keeps to the Compose specification's own schema."""
    command = [sys.executable, "-m", "check_jsonschema"]
    command += ["--builtin-schema", "vendor.compose-spec", str(compose.FILE)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout


def test_the_whole_product_is_in_it() -> None:
    """Broker, topics, worker, lag, the care teams' pages, Prometheus, Grafana, a Kafka browser."""
    whole = {"kafka", "access", "topics", "intake", "decide", "lag", "worklist"}
    whole |= {"prometheus", "grafana", "kafka-ui"}

    assert {name for name, one in SERVICES.items() if "profiles" not in one.raw} == whole
    roles = [compose.parse(SERVICES[name].words[1:]) for name in ("intake", "decide")]
    assert [options["role"] for _, options in roles] == ["intake", "decide"]


@pytest.mark.parametrize("service", SERVICES.values(), ids=named)
def test_images_are_pinned(service: Service) -> None:
    """A tag that names a version, so that nothing is upgraded by restarting it."""
    _, _, tag = service.raw["image"].rpartition(":")

    assert re.fullmatch(r"v?\d+\.\d+\.\d+", tag)


def _tested(pom: Path, artifact: str) -> str:
    space = {"m": "http://maven.apache.org/POM/4.0.0"}
    found = ET.parse(pom).findall("m:dependencies/m:dependency", space)  # noqa: S314 - our own
    names = {one.findtext("m:artifactId", "", space): one for one in found}
    return names[artifact].findtext("m:version", "", space)


def test_kafka_is_the_version_that_is_tested() -> None:
    """The broker of the compose file, and its tools, are those that the tests start."""
    tested = _tested(ROOT / "tests/kafka/pom.xml", "kafka_2.13")

    assert _tested(ROOT / "tests/e2e/pom.xml", "kafka-tools") == tested
    assert SERVICES["kafka"].raw["image"] == f"apache/kafka:{tested}"
    assert SERVICES["access"].raw["image"] == SERVICES["kafka"].raw["image"]


@pytest.mark.parametrize("service", SERVICES.values(), ids=named)
def test_what_goes_on_says_whether_it_is_well(service: Service) -> None:
    """A health check with a rhythm, for all that runs until it is stopped, and only for that."""
    check = service.raw.get("healthcheck", {})

    if service.goes_on:
        assert {"test", "interval", "timeout", "retries", "start_period"} <= set(check)
        assert check["test"][0] == "CMD"
    else:
        assert check in ({}, {"disable": True})


@pytest.mark.parametrize("service", SERVICES.values(), ids=named)
def test_nothing_is_published_beyond_this_machine(service: Service) -> None:
    """Each published port is bound to the loopback address."""
    assert [
        port
        for port in service.raw.get("ports", [])
        if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)
    ] == []


def test_no_two_services_want_the_same_port() -> None:
    """A second one would not start."""
    ports = [port.split(":")[1] for one in SERVICES.values() for port in one.raw.get("ports", [])]

    assert len(ports) == len(set(ports))


@pytest.mark.parametrize("service", SERVICES.values(), ids=named)
def test_no_service_can_do_more_than_it_must(service: Service) -> None:
    """No capability, no new privilege; our own cannot write either."""
    assert service.raw["cap_drop"] == ["ALL"]
    assert service.raw["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service.raw
    if service.is_ours:
        assert service.raw["read_only"] is True


@pytest.mark.parametrize("service", SERVICES.values(), ids=named)
def test_mounts_are_there(service: Service) -> None:
    """A named volume is declared; a folder of this tree exists and cannot be written."""
    for volume in service.raw.get("volumes", []):
        source, _target, *mode = volume.split(":")
        if not source.startswith("."):
            assert source in compose.load()["volumes"]
            continue
        assert mode == ["ro"]
        if source != "./care-data/in":  # what the operator brings
            assert (ROOT / source).is_dir()


def test_configs_and_secrets_are_declared_used_and_there(secrets: Path) -> None:
    """Every file that is mounted exists, or `make-secrets.sh` makes it; none is left over."""
    whole = compose.load()
    for kind in ("configs", "secrets"):
        used = {name for one in SERVICES.values() for name in one.mounted(kind).values()}
        assert used == set(whole[kind])
    for name, one in whole["configs"].items():
        assert (ROOT / one["file"]).is_file(), name
    for name, one in whole["secrets"].items():
        assert one["file"] == f"./deploy/secrets/{name}"
        assert (secrets / name).is_file(), name


@pytest.mark.parametrize("service", SERVICES.values(), ids=named)
def test_no_secret_stands_in_the_file(service: Service) -> None:
    """Passwords come as files, never as a value that `docker inspect` shows."""
    wrong = {
        name
        for name, value in service.environment.items()
        if re.search("PASSWORD|SECRET|KEY|TOKEN", name) and not value.startswith("/run/secrets/")
    }

    assert wrong == set()


@pytest.mark.parametrize("service", SERVICES.values(), ids=named)
def test_nobody_waits_for_what_cannot_come(service: Service) -> None:
    """Healthy is waited for only where there is a check, the end only of what ends."""
    for name, how in service.raw.get("depends_on", {}).items():
        other = SERVICES[name]
        if how["condition"] == "service_healthy":
            assert "test" in other.raw["healthcheck"]
        else:
            assert how["condition"] == "service_completed_successfully"
            assert not other.goes_on


def test_what_ends_is_waited_for_by_what_goes_on() -> None:
    """`up --wait` takes the end of a service for a failure, but where another one waits for it."""
    ending = {n for n, one in SERVICES.items() if not one.goes_on and "profiles" not in one.raw}
    waited_for = {
        other
        for one in SERVICES.values()
        for other, how in one.raw.get("depends_on", {}).items()
        if one.goes_on and how["condition"] == "service_completed_successfully"
    }

    assert ending
    assert ending <= waited_for


def test_workers_start_over_checked_topics_and_users_that_exist() -> None:
    """kafka, then access, then topics, then what needs them."""
    for name in ("intake", "decide", "lag", "worklist"):
        assert _before(name) == {"topics", "access", "kafka"}


def _before(name: str) -> set[str]:
    direct = set(SERVICES[name].raw.get("depends_on", {}))
    return direct.union(*(_before(one) for one in direct)) if direct else direct


@pytest.mark.parametrize("service", OURS, ids=named)
def test_command_lines_are_our_programs(service: Service) -> None:
    """Each is read by the real parser: command, options, arguments."""
    assert service.our_commands
    for words in service.our_commands:
        if words[1:] != ["--help"]:
            assert compose.parse(words[1:])[0]


@pytest.mark.parametrize("service", OURS, ids=named)
def test_settings_are_our_settings(
    service: Service, secrets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its environment and its secrets, and nothing else, the settings are complete."""
    mounted = tmp_path / "run-secrets"
    mounted.mkdir()
    for path, name in service.mounted("secrets").items():
        assert path == f"/run/secrets/{Path(path).name}"
        (mounted / Path(path).name).write_bytes((secrets / name).read_bytes())
    monkeypatch.setattr(settings, "SECRETS_DIR", mounted)
    for name, value in service.environment.items():
        monkeypatch.setenv(name, value.replace("/run/secrets", str(mounted)))

    here = settings.load()

    assert here.runtime == "kafka"
    assert here.kafka_security_protocol == "SASL_SSL"
    assert here.kafka_ca is not None
    assert here.kafka_ca.read_text(encoding="ascii").startswith("-----BEGIN CERTIFICATE-----")
    assert here.kafka_bootstrap_servers == "kafka:9092"
    assert here.kafka_password is not None
    user = here.kafka_username
    password = (secrets / f"{user}_kafka_password").read_text(encoding="ascii").strip()
    assert here.kafka_password.get_secret_value() == password
    key = (secrets / "care_site_key").read_text(encoding="ascii").strip()
    assert patient_key(settings.site_key(here), "GEN|1") == patient_key(key.encode(), "GEN|1")
    facilities = service.mounted("configs")[str(here.facilities)]
    assert compose.load()["configs"][facilities]["file"] == "./deploy/site/facilities.yaml"


def test_the_sites_facilities_can_be_used() -> None:
    """The facilities file as delivered is one."""
    command = [sys.executable, "-c", "from orchestrator.cli import main; main()", "policy", "check"]
    command += ["schemas/policies/P0.yaml", "--facilities", "deploy/site/facilities.yaml"]

    assert subprocess.run(command, cwd=ROOT, check=False, capture_output=True).returncode == 0


def test_what_prometheus_scrapes_is_served() -> None:
    """Each target is a service of the file that answers on that port for other machines."""
    import yaml

    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8"))
    ports: dict[str, int] = {}
    for job in config["scrape_configs"]:
        for found in job.get("dns_sd_configs", []):
            ports |= dict.fromkeys(found["names"], found["port"])
        for found in job.get("static_configs", []):
            for target in found["targets"]:
                host, _, port = target.partition(":")
                ports[host] = int(port)
    del ports["127.0.0.1"]  # itself
    assert set(ports) == {"intake", "decide", "lag", "worklist"}
    for name, port in ports.items():
        environment = SERVICES[name].environment
        assert environment["CARE_HOST"] == "0.0.0.0"  # noqa: S104 - in its container
        assert environment["CARE_OPS_PORT"] == str(port)


def _rights(tmp_path: Path) -> dict[tuple[str, str], set[str]]:
    """What access.sh asks of the broker: user and operation -> topics, clusters, groups."""
    (tmp_path / "secrets").mkdir()
    for user in ("care", "worklist", "hospital", "browser"):
        (tmp_path / f"secrets/{user}_kafka_password").write_text("not a secret")
    for tool in ("kafka-configs.sh", "kafka-acls.sh"):
        (tmp_path / tool).write_text(f'#!/bin/sh\nprintf "%s\\t" {tool} "$@"\nprintf "\\n"\n')
        (tmp_path / tool).chmod(0o755)
    paths = {"KAFKA_BIN": str(tmp_path), "SECRETS": str(tmp_path / "secrets")}
    done = subprocess.run(
        ["bash", str(ACCESS)],
        env={**os.environ, **paths},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[tuple[str, str], set[str]] = {}
    for line in done.stdout.splitlines():
        tool, *words = line.strip().split("\t")
        if tool == "kafka-acls.sh":
            said = argparse.ArgumentParser()
            said.add_argument("--bootstrap-server")
            said.add_argument("--allow-principal")
            for name in ("--operation", "--topic", "--group"):
                said.add_argument(name, action="append", default=[])
            for name in ("--add", "--force", "--cluster"):
                said.add_argument(name, action="store_true")
            asked = said.parse_args(words)
            on = {*asked.topic, *(f"group {one}" for one in asked.group)}
            on |= {"cluster"} if asked.cluster else set()
            user = asked.allow_principal.removeprefix("User:")
            for operation in asked.operation:
                found.setdefault((user, operation), set()).update(on)
    return found


def test_each_user_may_what_it_must_and_no_more(tmp_path: Path) -> None:
    """
    The broker is asked for exactly these rights, by the script that the compose file runs.

    Publishers write the public inputs and dead letters.  The worklist reads what it follows, the
    journal and the inputs, and writes what its code names: never the journal, nor what is decided.
    """
    inputs = {*INPUTS, DEAD_LETTER}

    assert _rights(tmp_path) == {
        ("hospital", "Write"): inputs,
        ("hospital", "Describe"): inputs,
        ("worklist", "Read"): {*FOLLOWED, *READABLE, SITE.name},
        ("worklist", "Write"): set(WRITTEN),
        ("worklist", "Describe"): {"*", "group *"},
        ("browser", "Read"): {"*", "group *"},
        ("browser", "Describe"): {"*", "group *", "cluster"},
        ("browser", "DescribeConfigs"): {"*", "group *", "cluster"},
    }
    assert not {JOURNAL, SITE.name, *DECIDED} & WRITTEN


def test_the_worklist_answers_under_tls_where_it_is_published(secrets: Path) -> None:
    """Its certificate is its own and for the address that the file publishes; data has a volume."""
    worklist = SERVICES["worklist"]
    environment = worklist.environment
    (port,), (volume,) = worklist.raw["ports"], worklist.raw["volumes"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(secrets / "worklist_tls.pem", secrets / "worklist_tls.pem")
    verify = ["openssl", "verify", "-CAfile", str(secrets / "kafka_ca.pem")]
    verify += ["-verify_ip", port.split(":")[0], str(secrets / "worklist_tls.pem")]

    assert environment["CARE_TLS_CERT"] == "/run/secrets/worklist_tls.pem"
    assert port.endswith(f":{environment['CARE_WORKLIST_PORT']}")
    assert volume.endswith(f":{environment['CARE_DATA_DIR']}")
    assert subprocess.run(verify, check=False, capture_output=True).returncode == 0


def test_the_brokers_doors_ask_for_a_password() -> None:
    """Only the container's own loopback is open; everything else is SASL over TLS."""
    text = (ROOT / "deploy/kafka/server.properties").read_text(encoding="utf-8")
    lines = [line.partition("=") for line in text.splitlines() if line and line[0] != "#"]
    found: dict[str, Any] = {name: value for name, _, value in lines}
    protocols = dict(one.split(":") for one in found["listener.security.protocol.map"].split(","))

    for one in found["listeners"].split(","):
        name, _, address = one.partition("://")
        assert protocols[name] == "SASL_SSL" or address.startswith("127.0.0.1:")
    assert found["allow.everyone.if.no.acl.found"] == "false"
    assert found["auto.create.topics.enable"] == "false"
