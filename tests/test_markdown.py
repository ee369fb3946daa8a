"""What is shown and what came out are compared as a reader would, and differences are seen."""

import pytest

from tests.markdown import blocks, code_words, difference


@pytest.mark.parametrize(
    ("shown", "actual"),
    [
        ("one\ntwo\n", "one\ntwo\n\n"),
        ("...\ntwo\n...\n", "zero\none\ntwo\nthree\n"),
        ("one\n...\n", "one\n"),
        ('{"id":"...","x":[1]}', '{"id":"4-2","x":[1]}'),
    ],
)
def test_equal_but_for_what_is_left_out(shown: str, actual: str) -> None:
    """
    A line of three dots stands for any lines, three dots in a line for any characters.
    """
    assert difference(shown, actual) is None


@pytest.mark.parametrize(
    ("shown", "actual"),
    [
        ("one", "two"),
        ("one\ntwo", "one"),
        ("one", "one\ntwo"),
        ("two\n...\none", "one\ntwo"),
        ("one\nthree", "one\ntwo\nthree"),
        ("[a]", "a"),
    ],
)
def test_differences_are_seen(shown: str, actual: str) -> None:
    """
    A line that is missing, added, changed or out of order is a difference.
    """
    assert difference(shown, actual) is not None


def test_blocks_hold_no_code_words() -> None:
    """
    What stands in a fenced block is a block, not a named thing.
    """
    page = "A `path`.\n\n```sh\nrun `it`\n```\n"

    assert [(one.language, one.text) for one in blocks(page)] == [("sh", "run `it`\n")]
    assert code_words(page) == ["path"]
