"""The part of the operators' handbook that every test run goes through; `make test-e2e` does all.

It is the one that uses everything the others stand on: secrets, the broker with TLS, passwords and
rights, the topics, the workers, a hospital's message and its tasks, an export and its replay.
"""

from pathlib import Path

import pytest

from tests.e2e.handbook import commands, differences

AFTERWARDS = "Restarting workers, one after the other"


@pytest.mark.slow
def test_the_handbook_starts_the_product_and_a_discharge_is_followed(tmp_path: Path) -> None:
    """Its first parts, in their order: first start, sizing, partitions, retention."""
    assert differences(commands(before=AFTERWARDS), tmp_path) == []
