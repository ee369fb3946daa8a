"""A broker as hospitals run it: TLS with a CA of their own, SCRAM passwords, ACLs.

`OPERATOR` may everything; `PUBLISHER` may write inputs and dead letters, and read nothing.
"""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest

from orchestrator.stream.kafka.connection import Kafka, Security
from schemas.topics import DEAD_LETTER, INPUTS
from tests.kafka.broker import _JVM, Node, _free_ports, jars

OPERATOR: Final = "operator"
PUBLISHER: Final = "publisher"
PASSWORDS: Final = {
    OPERATOR: "an operators pass=word 1",
    PUBLISHER: "a publishers pass=word 2",
    "broker": "a brokers pass=word 3",
}
_STORE: Final = "keystore-password"
_SCRAM: Final = "org.apache.kafka.common.security.scram.ScramLoginModule"

_PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=SASL_SSL://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=SASL_SSL://127.0.0.1:{port}
listener.security.protocol.map=SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=SASL_SSL
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={scram} required username="broker" \
password="{broker_password}";
ssl.keystore.type=PKCS12
ssl.keystore.location={folder}/broker.p12
ssl.keystore.password={store}
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:operator;User:broker;User:ANONYMOUS
log.dirs={folder}/log
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
"""


@dataclass(frozen=True)
class Secured:
    """A running broker that nobody reads without a password."""

    bootstrap: str
    ca: Path

    def kafka(self, user: str = OPERATOR) -> Kafka:
        """The connection of *user*."""
        return Kafka(
            self.bootstrap,
            Security("SASL_SSL", "SCRAM-SHA-512", user, PASSWORDS[user], self.ca),
        )

    def settings(self, user: str = OPERATOR) -> dict[str, str]:
        """The same as the environment of a command; protocol and mechanism are the defaults."""
        return {
            "CARE_RUNTIME": "kafka",
            "CARE_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "CARE_KAFKA_USERNAME": user,
            "CARE_KAFKA_PASSWORD": PASSWORDS[user],
            "CARE_KAFKA_CA": str(self.ca),
            "CARE_PARTITIONS": "4",
            "CARE_REPLICATION": "1",
            "CARE_SITE_KEY": "0123456789abcdef0123456789abcdef",
        }


@contextmanager
def secured(folder: Path) -> Iterator[Secured]:
    """
    A broker of our own with TLS, passwords and ACLs; gone with its data afterwards.

    Raises:
        NoKafka: It cannot be had on this machine.
    """
    port, controller_port = _free_ports(2)
    node = Node(1, folder, port, controller_port)
    jars()
    folder.mkdir(parents=True)
    try:
        _certificates(folder)
        _format(node)
        node.start()
        node.wait()
        running = Secured(f"127.0.0.1:{port}", folder / "ca.pem")
        asyncio.run(_let_publish(running))
        yield running
    finally:
        node.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _format(node: Node) -> None:
    settings = node.folder / "server.properties"
    settings.write_text(
        _PROPERTIES.format(
            port=node.port,
            controller_port=node.controller_port,
            folder=node.folder,
            scram=_SCRAM,
            broker_password=PASSWORDS["broker"],
            store=_STORE,
        ),
        encoding="ascii",
    )
    users = []
    for name, password in PASSWORDS.items():
        users += ["--add-scram", f'SCRAM-SHA-512=[name="{name}",password="{password}"]']
    command = ["java", *_JVM, "-cp", jars(), "kafka.tools.StorageTool", "format"]
    command += ["-t", "dGVzdC1vZi1jYXJlLTAwMg", "-c", str(settings), *users]
    subprocess.run(command, check=True, capture_output=True)


async def _let_publish(running: Secured) -> None:
    """What the contract lets a publisher do."""
    topic, literal, write, allow = 2, 3, 4, 3  # of Kafka's protocol
    client = AIOKafkaAdminClient(**running.kafka().client())
    await client.start()
    for name in (*INPUTS, DEAD_LETTER):
        user = f"User:{PUBLISHER}"
        asked = CreateAclsRequest(topic, name, literal, user, "*", write, allow)
        answer = await client._send_request(asked)
        assert [code for code, _ in answer.creation_responses] == [0], answer
    await client.close()


def _certificates(folder: Path) -> None:
    """A CA, and what it signed for the broker, in the files that broker and clients take."""
    ca, broker = folder / "ca.p12", folder / "broker.p12"
    made = ["-genkeypair", "-keyalg", "EC", "-groupname", "secp256r1", "-validity", "2"]
    _keytool(ca, *made, "-alias", "ca", "-dname", "CN=Test CA", "-ext", "bc:c=ca:true")
    _keytool(broker, *made, "-alias", "broker", "-dname", "CN=127.0.0.1")
    request = _keytool(broker, "-certreq", "-alias", "broker")
    names = "san=ip:127.0.0.1,dns:localhost"
    certificate = _keytool(
        ca, "-gencert", "-alias", "ca", "-rfc", "-validity", "2", "-ext", names, stdin=request
    )
    trusted = _keytool(ca, "-exportcert", "-alias", "ca", "-rfc")
    (folder / "ca.pem").write_bytes(trusted)
    _keytool(broker, "-importcert", "-noprompt", "-alias", "ca", stdin=trusted)
    _keytool(broker, "-importcert", "-noprompt", "-alias", "broker", stdin=certificate)


def _keytool(store: Path, *words: str, stdin: bytes | None = None) -> bytes:
    where = ["-keystore", str(store), "-storetype", "PKCS12", "-storepass", _STORE]
    command = ["keytool", *words, *where]
    return subprocess.run(command, input=stdin, check=True, capture_output=True).stdout
