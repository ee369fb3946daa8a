"""The pages for operators keep their word: their commands are run, on the product by hand."""

from pathlib import Path

import pytest

from tests.e2e.handbook import commands, differences


@pytest.mark.slow
def test_every_command_of_the_handbook_does_as_it_says(tmp_path: Path) -> None:
    """In its order, in one shell, from making the secrets to a lost journal."""
    assert differences(commands(), tmp_path) == []


@pytest.mark.slow
def test_every_command_on_the_way_to_the_first_call_does_as_it_says(tmp_path: Path) -> None:
    """`docs/going-live.md`, from making the secrets to the checks before the first patient."""
    assert differences(commands("docs/going-live.md"), tmp_path) == []
