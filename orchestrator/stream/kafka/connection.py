"""How every client of this product reaches the brokers: addresses, encryption, credentials.

The one place that knows.  Workers, commands, the lag sampler and tests hand a `Kafka` around and
take their client's arguments from it, so none can forget the password or talk in the clear.
"""

import asyncio
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from aiokafka import AIOKafkaConsumer
from aiokafka.conn import create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

PROBE_S: Final = 5.0
HANG_UP_S: Final = 1.0
_ADDRESS: Final = re.compile(r"\S+:\d{1,5}")

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]


class UnusableConnection(Exception):
    """The settings of the connection contradict each other; says which, never a value."""

    exit_code: ClassVar[int] = 2


@dataclass(frozen=True, slots=True)
class Security:
    """
    What the brokers ask for; the names and words are Kafka's own.

    Attributes:
        ca: Certificates (PEM) that sign the brokers'; ``None``: those that the machine trusts.
    """

    protocol: Protocol = "PLAINTEXT"
    mechanism: Mechanism = "SCRAM-SHA-512"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: Path | None = None

    @property
    def encrypted(self) -> bool:
        return self.protocol in ("SSL", "SASL_SSL")

    @property
    def signs_in(self) -> bool:
        return self.protocol in ("SASL_PLAINTEXT", "SASL_SSL")


IN_THE_CLEAR: Final = Security()


@dataclass(frozen=True, slots=True)
class Kafka:
    """How to reach the cluster."""

    bootstrap: str
    security: Security = IN_THE_CLEAR

    @property
    def servers(self) -> list[str]:
        """
        The addresses one by one.

        Raises:
            UnusableConnection: One of them is none.
        """
        servers = [server.strip() for server in self.bootstrap.split(",")]
        if not all(_ADDRESS.fullmatch(server) for server in servers):
            raise UnusableConnection(
                "CARE_KAFKA_BOOTSTRAP_SERVERS must be host:port, several with commas between"
            )
        return servers

    def client(self) -> dict[str, Any]:
        """
        The arguments that each consumer, producer and admin client of aiokafka is made with.

        Raises:
            UnusableConnection: An address or a credential is missing, or the CA file is none.
        """
        arguments: dict[str, Any] = {
            "bootstrap_servers": self.servers,
            "security_protocol": self.security.protocol,
            "ssl_context": self._trust(),
        }
        if self.security.signs_in:
            self._require_credentials()
            arguments |= {
                "sasl_mechanism": self.security.mechanism,
                "sasl_plain_username": self.security.username,
                "sasl_plain_password": self.security.password,
            }
        return arguments

    def faust_credentials(self) -> Any:
        """The same for a Faust app's ``broker_credentials``; ``None``: it needs none."""
        import faust

        if not self.security.signs_in:
            return self._trust()
        self._require_credentials()
        return faust.SASLCredentials(
            username=self.security.username,
            password=self.security.password,
            ssl_context=self._trust(),
            mechanism=self.security.mechanism,
        )

    def _require_credentials(self) -> None:
        if self.security.username is None or self.security.password is None:
            raise UnusableConnection(
                f"CARE_KAFKA_SECURITY_PROTOCOL is {self.security.protocol}, which needs"
                " CARE_KAFKA_USERNAME and CARE_KAFKA_PASSWORD; for a broker without sign-in say"
                " PLAINTEXT or SSL"
            )

    def _trust(self) -> ssl.SSLContext | None:
        if not self.security.encrypted:
            return None
        try:
            return ssl.create_default_context(cafile=self.security.ca)
        except OSError as problem:  # an SSLError is one, too: the file holds no certificate
            reason = problem.strerror or "it holds no certificate (PEM)"
            if isinstance(problem, ssl.SSLError):
                reason = "it holds no certificate (PEM)"
            raise UnusableConnection(f"CARE_KAFKA_CA: the file cannot be used: {reason}") from None


async def why(kafka: Kafka, problem: BaseException) -> str:
    """
    What *problem* of a client means, in words for who can mend it; names settings, no values.

    aiokafka says only that it could not connect; so each address is tried once more by hand.
    """
    if not isinstance(problem, KafkaConnectionError):
        return type(problem).__name__
    reasons = await asyncio.gather(*(_why(kafka, server) for server in kafka.servers))
    return "; ".join(dict.fromkeys(reasons))


async def _why(kafka: Kafka, server: str) -> str:
    host, _, port = server.rpartition(":")
    arguments = kafka.client()
    del arguments["bootstrap_servers"]
    try:
        async with asyncio.timeout(PROBE_S):
            connection = await create_conn(host, int(port), **arguments)
            # TLS takes leave of the other end first, and the loop may end with us.
            await asyncio.wait([connection.close()], timeout=HANG_UP_S)
    except (AuthenticationFailedError, SaslAuthenticationFailed):
        return "the broker refuses CARE_KAFKA_USERNAME with CARE_KAFKA_PASSWORD"
    except UnsupportedSaslMechanismError:
        return f"the broker does not take {kafka.security.mechanism} (CARE_KAFKA_SASL_MECHANISM)"
    except ssl.SSLCertVerificationError as fault:
        return f"the broker's certificate is not trusted (CARE_KAFKA_CA): {fault.verify_message}"
    except ssl.SSLError:
        return "no TLS is spoken there (CARE_KAFKA_SECURITY_PROTOCOL)"
    except TimeoutError:  # an OSError, too
        return "no answer"
    except OSError:
        return "nobody answers"
    except KafkaConnectionError:
        said = kafka.security.protocol
        return f"it hangs up on our greeting (CARE_KAFKA_SECURITY_PROTOCOL is {said})"
    except KafkaError as fault:
        return type(fault).__name__
    return "it does not answer all we ask"


async def stop(consumer: AIOKafkaConsumer) -> None:
    """
    Stop *consumer*, also while a broker is away.

    A fetch that waits to be tried again lets aiokafka's own cancellation of it out of ``stop()``:
    whoever had called it would be cancelled in its place, and the connections stay open.
    """
    stopping = asyncio.create_task(consumer.stop())
    await asyncio.wait([stopping])
    if stopping.cancelled():
        await consumer._client.close()  # noqa: SLF001 - what is left of `stop()`
    else:
        stopping.result()
