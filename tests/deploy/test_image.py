"""The image: pinned, locked, not root, and nothing of the program is missing in it."""

import fnmatch
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Final

import pytest

from tests.deploy.compose import OUR_IMAGE, ROOT, services

PACKAGES: Final = ("schemas", "events", "handlers", "orchestrator")


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's lines, continued ones joined: instruction and the rest."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    return [(first, " ".join(rest.split())) for first, rest in lines]


def test_the_base_is_pinned_and_the_same_in_both_stages() -> None:
    """What was built against is what it runs on."""
    bases = {rest.split()[0] for name, rest in instructions() if name == "FROM"}

    (base,) = bases
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", base)


def test_only_what_is_locked_is_installed() -> None:
    """Each install is by hash from a lock, or of our own wheel without anything else."""
    installs = [
        step.strip()
        for name, rest in instructions()
        if name == "RUN"
        for step in rest.split("&&")
        if "pip install" in step or "pip wheel" in step
    ]

    assert installs
    for step in installs:
        assert "--require-hashes" in step or "--no-deps" in step


def test_a_hospitals_own_accounts_can_be_used() -> None:
    """What `CARE_AUTH_MODE=oidc` needs is an extra of the package, and part of the image."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {re.split("[<>=]", one)[0] for one in project["optional-dependencies"]["oidc"]}
    locked = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)

    assert wanted
    assert wanted <= set(locked)


def test_it_does_not_run_as_root_and_says_whether_it_is_well() -> None:
    """A numeric user after the last stage began, a health check, our program as the entrypoint."""
    last = [name for name, _ in instructions()][::-1].index("FROM")
    stage = dict(instructions()[-last:])

    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", stage["USER"])
    assert stage["ENTRYPOINT"] == '["care-orchestrator"]'
    assert '"orchestrator.ops.probe"' in stage["HEALTHCHECK"]


def test_the_worklists_folder_is_its_users_own() -> None:
    """A new volume takes owner and mode from the image's folder; root's could not be written."""
    (folder,) = [one.split(":")[1] for one in services()["worklist"].raw["volumes"]]
    steps = " ".join(rest for name, rest in instructions() if name == "RUN")

    assert f"install --directory --owner=care --group=care --mode=0700 {folder}" in steps


def test_its_tag_is_the_version() -> None:
    """The compose file names the version that this tree is."""
    found = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)

    assert found is not None
    assert OUR_IMAGE.endswith(f":{found[1]}")


def test_what_is_copied_is_sent_to_the_builder() -> None:
    """`.dockerignore` lets through what the Dockerfile copies, and neither data nor secrets."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    sent = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        word
        for name, rest in instructions()
        if name == "COPY" and not rest.startswith("--from")
        for word in rest.split()[:-1]
    }

    assert "*" in lines
    assert sent == copied
    assert all((ROOT / name).exists() for name in copied)


def test_everything_of_the_program_is_in_its_wheel(tmp_path: Path) -> None:
    """Modules and the files they read; what is left out is missed only on the day it is needed."""
    tree = tmp_path / "tree"
    tree.mkdir()
    shutil.copy(ROOT / "pyproject.toml", tree)
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tree / package, ignore=ignored)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path), str(tree)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if not fnmatch.fnmatch(name, "*.dist-info/*")}

    assert inside == {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.parametrize("name", ["kafka/start.sh", "kafka/access.sh", "make-secrets.sh"])
def test_scripts_can_be_run(name: str) -> None:
    """Executable, readable by their shell, and ending at the first fault."""
    path = ROOT / "deploy" / name

    assert path.stat().st_mode & 0o111
    assert "set -euo pipefail" in path.read_text(encoding="utf-8")
    assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0
