"""Settings: read once from the environment, prefix ``CARE_``, and complete or refused.

Each setting is one line of ``Settings``.  Its value comes from ``CARE_<NAME>``, else from the
file that ``CARE_<NAME>_FILE`` names, else from a file of that name in ``/run/secrets``, else
from the default beside it.  A ``CARE_*`` name that is no setting is refused, because a
misspelled one would silently mean its default.  Names, meanings and defaults: README, Settings.
"""

import os
import secrets
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_core import to_jsonable_python
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from orchestrator.log import Format, Level

PREFIX: Final = "CARE_"
SECRETS_DIR: Final = Path("/run/secrets")
# 256 bits, as HMAC-SHA256 takes them.
SITE_KEY_BYTES: Final = 32
SITE_KEY_FILE: Final = "site-key"
SESSION_SECRET_FILE: Final = "session-secret"  # noqa: S105 - a name, no secret


class SettingsError(Exception):
    """A setting is unknown, unreadable or out of its range; the text names it, never its value."""

    exit_code: ClassVar = 2


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    runtime: Literal["embedded", "kafka"] = "embedded"  # where the topics are
    data_dir: Path = Path("./care-data")  # the embedded log lives here; made with mode 0700
    facilities: Path | None = None  # facilities file; built in: `default` serves every facility
    policy: Path | None = None  # policy file; built in: P0
    host: str = "127.0.0.1"  # where doors are opened; 0.0.0.0 in a container
    ops_port: Annotated[int, Field(ge=0, le=65_535)] | None = None  # by command; 0: any free one
    behind_after: timedelta = timedelta(seconds=60)  # who is further behind is not current
    worklist_port: Annotated[int, Field(ge=0, le=65_535)] | None = None  # 8000; 0: any free one
    action_wait: timedelta = timedelta(seconds=5)  # how long an action waits for its change
    auth_mode: Literal["local", "demo", "oidc"] = "local"  # who says who somebody is
    auth_audience: str = "care-orchestrator"  # what a token must be for
    auth_issuer: str | None = None  # oidc: the issuer's address, as in its tokens
    auth_jwks: str | None = None  # oidc: its keys, URL or file; else as its discovery says
    auth_client_id: str | None = None  # oidc: who we are at the issuer; pages need it
    auth_client_secret: SecretStr | None = None
    auth_roles_claim: str = "roles"  # oidc: where a token has the roles
    session_secret: Annotated[SecretStr, Field(min_length=32)] | None = None  # made
    session_idle: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(minutes=15)
    session_max: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(hours=10)
    tls_cert: Path | None = None  # PEM; the worklist then speaks TLS
    tls_key: Path | None = None  # PEM
    behind_tls_proxy: bool = False  # a proxy ends TLS before the worklist
    partitions: Annotated[int, Field(ge=1, le=1024)] = 12  # fixed once the log exists
    site_key: Annotated[SecretStr, Field(min_length=16)] | None = None  # made at first start
    kafka_bootstrap_servers: str | None = None  # host:port, host:port; the worker needs it
    # Kafka's own words for how its brokers are talked to; the default is the safe one.
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "SASL_SSL"
    kafka_sasl_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"
    kafka_username: str | None = None
    kafka_password: SecretStr | None = None
    kafka_ca: Path | None = None  # PEM; those that the machine trusts
    replication: Annotated[int, Field(ge=1, le=10)] = 3  # copies of each record on Kafka
    group: Annotated[str, Field(pattern=r"[\w.-]+")] = "care-orchestrator"  # of consumers
    # How long a sender waits until what it sends is kept.
    store_timeout: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(seconds=10)
    log_level: Level = "info"
    log_format: Format | None = None  # console on a terminal, else json

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment, then named files, then mounted secrets; no ``.env`` is looked for."""
        del dotenv_settings, file_secret_settings
        mounted = SECRETS_DIR if SECRETS_DIR.is_dir() else None
        return (
            init_settings,
            env_settings,
            NamedFiles(settings_cls),
            SecretsSettingsSource(settings_cls, secrets_dir=mounted),
        )

    def shown(self) -> dict[str, str]:
        """Every setting as an operator may read it: secrets as ``***``, unset ones as ``-``."""
        return {PREFIX + name.upper(): _shown(value) for name, value in self}


class NamedFiles(PydanticBaseSettingsSource):
    """``CARE_<NAME>_FILE``: the path of a file that holds the value, as container secrets do."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """One field; the interface asks for it, ``__call__`` alone is used."""
        raise AssertionError(f"not asked for one by one: {field_name}, {field}")

    def __call__(self) -> dict[str, Any]:
        found = {}
        for name in self.settings_cls.model_fields:
            variable = f"{PREFIX}{name.upper()}"
            path = os.environ.get(f"{variable}_FILE")
            if path is None:
                continue
            if variable in os.environ:
                raise SettingsError(f"{variable} and {variable}_FILE are both set; keep one")
            try:
                found[name] = Path(path).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as problem:
                text = f"{variable}_FILE: cannot read the file ({type(problem).__name__})"
                raise SettingsError(text) from None
        return found


def load(**overrides: Any) -> Settings:
    """
    Read the settings of this process.

    Args:
        overrides: Values given on the command line; they stand above the environment.

    Raises:
        SettingsError: A name is unknown or a value unusable; says which and what to do.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    known |= {f"{name}_FILE" for name in known}
    given = {name.upper() for name in os.environ if name.upper().startswith(PREFIX)}
    if unknown := sorted(given - known):
        raise SettingsError(f"unknown setting {', '.join(unknown)}; {_nearest(unknown[0], known)}")
    try:
        return Settings(**overrides)
    except ValidationError as problem:
        # str(problem) repeats the values, secrets among them.
        faults = problem.errors(include_input=False, include_url=False)
        lines = [f"{PREFIX}{str(f['loc'][0]).upper()}: {_said(f)}" for f in faults]
        raise SettingsError("; ".join(lines)) from None


def _said(fault: Mapping[str, Any]) -> str:
    """What is wrong with a value, in words for who sets it; never the value."""
    if fault["type"] == "too_short":  # of a secret: pydantic counts items, and how many there are
        return f"must have at least {fault['ctx']['min_length']} characters"
    return str(fault["msg"])


def site_key(settings: Settings) -> bytes:
    """
    The key under which patients' identifiers become patient keys.

    Stated, it is used as it is.  Otherwise it is made at the first start, in the data folder,
    readable by its owner alone; it must be kept with the data, since another key would re-key
    every patient.

    Raises:
        SettingsError: The file cannot be read or written, or is damaged; with Kafka: not stated.
    """
    if settings.site_key is not None:
        return settings.site_key.get_secret_value().encode()
    if settings.runtime == "kafka":
        # Made at first start, it would be another one on each machine.
        raise SettingsError(
            "CARE_SITE_KEY is not set; with Kafka, every worker and worklist needs the same one"
        )
    return _kept(settings, SITE_KEY_FILE, "another key re-keys every patient")


def session_secret(settings: Settings) -> bytes:
    """
    Under which pages' sessions are kept; made like the site key, but may be lost.

    Raises:
        SettingsError: The file cannot be read or written, or is damaged.
    """
    if settings.session_secret is not None:
        return settings.session_secret.get_secret_value().encode()
    return _kept(settings, SESSION_SECRET_FILE, "without the file, everybody signs in again")


def _kept(settings: Settings, name: str, loss: str) -> bytes:
    path = settings.data_dir / name
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make_key(path)
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except OSError as problem:
        raise SettingsError(
            f"{settings.data_dir}: {problem.strerror}; the log and its {name} are kept in this"
            " folder, another is named with --data-dir or CARE_DATA_DIR"
        ) from None
    except ValueError:
        key = b""
    if len(key) != SITE_KEY_BYTES:
        raise SettingsError(f"{path} is damaged; restore it: {loss}")
    return key


def _make_key(path: Path) -> None:
    # Written whole under another name, then linked: two processes that start at once agree, and
    # a crash leaves no half key.
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as out:
            out.write(secrets.token_hex(SITE_KEY_BYTES))
            out.flush()
            os.fsync(out.fileno())
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return "***" if isinstance(value, SecretStr) else str(to_jsonable_python(value))


def _nearest(name: str, known: set[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(sorted(known))}"
