"""The operators' handbook keeps its word: its commands are run, on the product by hand."""

from pathlib import Path

import pytest

from tests.e2e.handbook import commands, differences


@pytest.mark.slow
def test_every_command_of_the_handbook_does_as_it_says(tmp_path: Path) -> None:
    """In its order, in one shell, from making the secrets to a lost journal."""
    assert differences(commands(), tmp_path) == []
