"""Settings are complete or refused, and never show a secret."""

import stat
from pathlib import Path

import pytest

from orchestrator import settings
from orchestrator.cli import on_kafka
from orchestrator.settings import SettingsError
from orchestrator.stream.kafka.connection import UnusableConnection

SECRET = "correct-horse-battery-staple"


def test_without_environment_the_defaults_hold(no_settings: pytest.MonkeyPatch) -> None:
    """A fresh machine needs no settings at all."""
    del no_settings

    found = settings.load()
    assert found.data_dir == Path("care-data")
    assert (found.partitions, found.site_key, found.facilities) == (12, None, None)


def test_environment_then_file_then_mounted_secret(
    no_settings: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A value is found in the variable, else in the file it names, else among mounted secrets."""
    no_settings.setattr(settings, "SECRETS_DIR", tmp_path)
    (tmp_path / "CARE_SITE_KEY").write_text(f"mounted-{SECRET}\n")
    found = settings.load()
    assert found.site_key is not None
    assert found.site_key.get_secret_value() == f"mounted-{SECRET}"

    named = tmp_path / "named"
    named.write_text(f"named-{SECRET}\n")
    no_settings.setenv("CARE_SITE_KEY_FILE", str(named))
    found = settings.load()
    assert found.site_key is not None
    assert found.site_key.get_secret_value() == f"named-{SECRET}"

    no_settings.delenv("CARE_SITE_KEY_FILE")
    no_settings.setenv("CARE_SITE_KEY", SECRET)
    found = settings.load()
    assert found.site_key is not None
    assert found.site_key.get_secret_value() == SECRET


def test_the_command_line_stands_above_the_environment(no_settings: pytest.MonkeyPatch) -> None:
    """An option given by hand wins."""
    no_settings.setenv("CARE_DATA_DIR", "/from/environment")

    assert settings.load(data_dir=Path("/given")).data_dir == Path("/given")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("CARE_DATADIR", "some-folder", "did you mean CARE_DATA_DIR"),
        ("CARE_SITE_KEY", "short-secret", "CARE_SITE_KEY"),
        ("CARE_PARTITIONS", "twelve", "CARE_PARTITIONS"),
        ("CARE_LOG_LEVEL", "loud", "CARE_LOG_LEVEL"),
        ("CARE_RUNTIME", "pulsar", "CARE_RUNTIME"),
        ("CARE_KAFKA_SECURITY_PROTOCOL", "TLS", "CARE_KAFKA_SECURITY_PROTOCOL"),
        ("CARE_KAFKA_SASL_MECHANISM", "GSSAPI", "CARE_KAFKA_SASL_MECHANISM"),
        ("CARE_STORE_TIMEOUT", "PT0S", "CARE_STORE_TIMEOUT"),
        ("CARE_KAFKA_PASSWORT", "some-secret", "did you mean CARE_KAFKA_PASSWORD"),
        ("CARE_SITE_KEY_FILE", "/nowhere/at/all", "CARE_SITE_KEY_FILE"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(
    no_settings: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    """The text names the setting and what to do, and never repeats its value."""
    no_settings.setenv(name, value)

    with pytest.raises(SettingsError, match=says) as refused:
        settings.load()
    assert value not in str(refused.value)
    assert refused.value.exit_code == 2


def test_a_value_said_twice_is_refused(no_settings: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Variable and file together leave open which one counts."""
    (tmp_path / "key").write_text(SECRET)
    no_settings.setenv("CARE_SITE_KEY", SECRET)
    no_settings.setenv("CARE_SITE_KEY_FILE", str(tmp_path / "key"))

    with pytest.raises(SettingsError, match="both set"):
        settings.load()


def test_secrets_are_shown_as_stars(no_settings: pytest.MonkeyPatch) -> None:
    """Neither the list for operators nor a repr in a traceback holds the key."""
    no_settings.setenv("CARE_SITE_KEY", SECRET)
    no_settings.setenv("CARE_KAFKA_PASSWORD", SECRET)
    found = settings.load()

    assert found.shown()["CARE_SITE_KEY"] == "***"
    assert found.shown()["CARE_KAFKA_PASSWORD"] == "***"
    assert found.shown()["CARE_STORE_TIMEOUT"] == "PT10S"
    assert SECRET not in repr(found) + str(found) + str(found.shown())


def test_the_site_key_is_made_once_for_its_owner_alone(
    no_settings: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first start makes the key; every later one finds it."""
    del no_settings
    here = settings.load(data_dir=tmp_path / "data")

    first = settings.site_key(here)
    assert len(first) == 32
    assert settings.site_key(here) == first
    path = here.data_dir / settings.SITE_KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(here.data_dir.stat().st_mode) == 0o700
    assert [file.name for file in here.data_dir.iterdir()] == [settings.SITE_KEY_FILE]


@pytest.mark.parametrize("content", ["", "zz", "00" * 16])
def test_a_damaged_site_key_is_not_replaced(
    no_settings: pytest.MonkeyPatch, tmp_path: Path, content: str
) -> None:
    """Another key would make every patient a new one, so the start is refused."""
    del no_settings
    path = tmp_path / settings.SITE_KEY_FILE
    path.write_text(content)

    with pytest.raises(SettingsError, match="damaged"):
        settings.site_key(settings.load(data_dir=tmp_path))
    assert path.read_text() == content


def test_with_kafka_no_site_key_is_made(no_settings: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each machine would make another one, and every patient would have several keys."""
    no_settings.setenv("CARE_RUNTIME", "kafka")

    with pytest.raises(SettingsError, match="CARE_SITE_KEY is not set; with Kafka"):
        settings.site_key(settings.load(data_dir=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_brokers_are_spoken_to_safely_unless_told_otherwise(
    no_settings: pytest.MonkeyPatch,
) -> None:
    """Who sets only the address does not talk in the clear by forgetting something."""
    no_settings.setenv("CARE_KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    found = settings.load()

    assert found.kafka_security_protocol == "SASL_SSL"
    with pytest.raises(UnusableConnection, match="needs CARE_KAFKA_USERNAME"):
        on_kafka.brokers(found)
    no_settings.setenv("CARE_KAFKA_SECURITY_PROTOCOL", "PLAINTEXT")
    assert on_kafka.brokers(settings.load()).client() == {
        "bootstrap_servers": ["kafka:9092"],
        "security_protocol": "PLAINTEXT",
        "ssl_context": None,
    }


@pytest.mark.parametrize("address", ["kafka", "kafka:", "kafka:9092,", "http://kafka:9092 x"])
def test_an_address_that_is_none_is_a_mistake(
    no_settings: pytest.MonkeyPatch, address: str
) -> None:
    """Found out here, not as a broker that is away."""
    no_settings.setenv("CARE_KAFKA_BOOTSTRAP_SERVERS", address)
    no_settings.setenv("CARE_KAFKA_SECURITY_PROTOCOL", "PLAINTEXT")

    with pytest.raises(UnusableConnection, match="must be host:port"):
        on_kafka.brokers(settings.load())
