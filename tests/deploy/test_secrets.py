"""`make-secrets.sh`: random, closed to others, and never a second site key."""

import subprocess
from pathlib import Path

import yaml

from tests.deploy.compose import ROOT

SCRIPT = ROOT / "deploy/make-secrets.sh"


def made(folder: Path) -> dict[str, bytes]:
    subprocess.run([SCRIPT, folder], check=True, capture_output=True)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_two_sites_share_no_secret(tmp_path: Path) -> None:
    """Each is made at random where it is used; none has a default."""
    one, other = made(tmp_path / "one"), made(tmp_path / "other")

    assert one.keys() == other.keys()
    assert [name for name in one if one[name] == other[name]] == []
    assert min(len(value.strip()) for value in one.values()) >= 22


def test_what_is_there_stays(tmp_path: Path) -> None:
    """Run again, it makes only what is missing: another site key re-keys every patient."""
    before = made(tmp_path / "secrets")
    (tmp_path / "secrets/grafana_password").unlink()

    after = made(tmp_path / "secrets")

    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"grafana_password"}


def test_others_on_the_machine_cannot_read_them(tmp_path: Path) -> None:
    """The folder is its owner's alone; the certificate authority's key is nobody else's at all."""
    folder = tmp_path / "secrets"
    made(folder)

    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "kafka_ca.key").stat().st_mode & 0o777 == 0o600


def test_the_brokers_certificate_is_for_its_names(tmp_path: Path) -> None:
    """Signed by the authority that clients are given, for the names under which they call it."""
    folder = tmp_path / "secrets"
    made(folder)
    ca, tls = folder / "kafka_ca.pem", folder / "kafka_tls.pem"
    for name in ("kafka", "localhost"):
        command = ["openssl", "verify", "-CAfile", str(ca), "-verify_hostname", name, str(tls)]
        assert subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_the_kafka_browser_shows_no_values_and_writes_nothing(tmp_path: Path) -> None:
    """It asks who you are, is read-only, and masks the records of every topic of ours."""
    files = made(tmp_path / "secrets")
    config = yaml.safe_load(files["kafka_ui.yml"])
    (cluster,) = config["kafka"]["clusters"]
    (mask,) = cluster["masking"]
    password = config["spring"]["security"]["user"]["password"]

    assert config["auth"]["type"] == "LOGIN_FORM"
    assert password == files["kafka_ui_password"].decode().strip()
    assert files["browser_kafka_password"].decode().strip() in str(cluster["properties"])
    assert cluster["readOnly"] is True
    assert (mask["type"], mask["topicValuesPattern"]) == ("REPLACE", r"care\..*")


def test_git_keeps_none() -> None:
    """Whatever lies in deploy/secrets, only its own .gitignore is committed."""
    inside = ROOT / "deploy/secrets/care_site_key"
    command = ["git", "check-ignore", "--quiet", str(inside)]

    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0
