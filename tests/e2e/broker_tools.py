"""The scripts of the Kafka image's bin folder that `deploy/` calls, over the jars of the tests."""

import fcntl
import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.kafka.broker import NoKafka, jars

HERE: Final = Path(__file__).resolve().parent
POM: Final = HERE / "pom.xml"
JARS: Final = HERE / ".jars"
SCRIPTS: Final = {
    "kafka-storage.sh": "kafka.tools.StorageTool",
    "kafka-server-start.sh": "kafka.Kafka",
    "kafka-configs.sh": "kafka.admin.ConfigCommand",
    "kafka-acls.sh": "org.apache.kafka.tools.AclCommand",
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
    "kafka-consumer-groups.sh": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-broker-api-versions.sh": "org.apache.kafka.tools.BrokerApiVersionsCommand",
}


def bin_folder(folder: Path) -> Path:
    """
    Write the scripts into *folder*.

    Raises:
        NoKafka: Java, Maven or the jars cannot be had.
    """
    paths = f"{jars()}:{_tools()}/*"
    folder.mkdir(parents=True)
    for name, program in SCRIPTS.items():
        script = folder / name
        script.write_text(
            "#!/bin/bash\n"
            "exec java -Xms64m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
            f' -cp "{paths}" {program} "$@"\n',
            encoding="ascii",
        )
        script.chmod(0o755)
    return folder


def _tools() -> Path:
    done = JARS / f"done-{int(POM.stat().st_mtime)}"
    with (HERE / ".jars.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(JARS, ignore_errors=True)
            command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies"]
            command += ["-DincludeScope=runtime", f"-DoutputDirectory={JARS}"]
            fetched = subprocess.run(command, capture_output=True, text=True, check=False)
            if fetched.returncode:
                raise NoKafka(f"Maven could not fetch Kafka's tools:\n{fetched.stdout[-2000:]}")
            done.touch()
    return JARS
