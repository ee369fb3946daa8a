"""Small stories hold in every order in which partitions can get on."""

import pytest

from tests.simulation.identity.exhaustive import SMALL, explore, story
from tests.simulation.identity.oracle import Violation
from tests.simulation.identity.planted import KeptWhereItCame, NoIdentityGate, NotWhole, world_with


@pytest.mark.parametrize("lines", SMALL.values(), ids=SMALL.keys())
def test_every_order_keeps_every_promise(lines: tuple[str, ...]) -> None:
    """No order of reading breaks one, and the orders really differ."""
    found = explore(story(*lines))
    assert found.states > 50
    assert found.ends >= 1


@pytest.mark.parametrize(
    ("bug", "lines"),
    list(zip((NoIdentityGate, NotWhole, KeptWhereItCame), SMALL.values(), strict=False)),
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_some_order_breaks_a_wrong_protocol(bug: type, lines: tuple[str, ...]) -> None:
    """The orders that hurt are among them."""
    with pytest.raises(Violation):
        explore(story(*lines), world_with(bug))
