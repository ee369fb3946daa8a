"""The secrets that the compose file mounts, made as an operator makes them."""

import subprocess
from pathlib import Path

import pytest

from tests.deploy.compose import ROOT


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `deploy/make-secrets.sh` fills."""
    folder = tmp_path_factory.mktemp("made") / "secrets"
    subprocess.run([ROOT / "deploy/make-secrets.sh", folder], check=True, capture_output=True)
    return folder
