"""Who is whom follows from the set of marks, not from their order of arrival."""

from random import Random

import pytest

from tests.simulation.identity.directory import Directory, Group, Home, Mark, Numbers
from tests.simulation.identity.truth import truth

NAMES = "ABCDEF"


def _mark(at: int, kind: str, one: str, other: str, visit: str = "") -> Mark:
    return Mark(at, at, "adt", f"{at:03}-{kind}", kind, one, other, visit)


def _homes(marks: list[Mark]) -> dict[str, str]:
    directory = Directory()
    homes = {name: name for name in NAMES}
    for mark in marks:
        for _, message in directory.take([mark]):
            if isinstance(message, Home) and "#" not in message.stream:
                homes[message.stream] = message.to
    return homes


@pytest.mark.parametrize(
    ("story", "marks", "homes"),
    [
        ("a merge", ["merge BA"], "BBCDEF"),
        ("an inverse merge changes nothing", ["merge BA", "merge AB"], "BBCDEF"),
        ("a chain", ["merge BA", "merge CB"], "CCCDEF"),
        ("a chain from its end", ["merge CB", "merge BA"], "CCCDEF"),
        ("a survivor that was retired: its survivor", ["merge BA", "merge AC"], "BBBDEF"),
        ("a merge of what is one", ["merge BA", "merge CB", "merge AC"], "CCCDEF"),
        ("an un-merge", ["merge BA", "unmerge BA"], "ABCDEF"),
        ("an un-merge the other way round", ["merge BA", "unmerge AB"], "ABCDEF"),
        ("an un-merge without a merge", ["unmerge BA"], "ABCDEF"),
        ("again after the un-merge", ["merge BA", "unmerge BA", "merge BA"], "BBCDEF"),
        ("an un-merge inside a chain", ["merge BA", "merge CB", "unmerge BA"], "ACCDEF"),
        (
            "an indirect merge does not hold a pair",
            ["merge BA", "merge AB", "unmerge BA"],
            "ABCDEF",
        ),
        ("two groups", ["merge BA", "merge DC", "merge DB"], "DDDDEF"),
        ("two groups, parted", ["merge BA", "merge DC", "merge DB", "unmerge BD"], "BBDDEF"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_stories(story: str, marks: list[str], homes: str) -> None:
    """Homes after a story, told in order and in reverse."""
    told = [_mark(at, word[:-3], word[-2], word[-1]) for at, word in enumerate(marks)]
    wanted = dict(zip(NAMES, homes, strict=True))
    assert _homes(told) == wanted, story
    assert _homes(told[::-1]) == wanted, story


def test_any_order_of_arrival_and_any_repetition_gives_what_the_set_says() -> None:
    """The newest messages of each receiver say what `truth` says of all marks at once."""
    for seed in range(600):
        random = Random(seed)
        marks: list[Mark] = []
        for at in range(random.randint(1, 12)):
            kind = random.choice(("merge", "merge", "merge", "unmerge", "move"))
            one, other = random.sample(NAMES, 2)
            visit = random.choice("vw") if kind == "move" else ""
            if kind == "unmerge" and marks and random.random() < 0.8:
                one, other = random.choice(marks)[5:7]
            marks.append(_mark(at, kind, one, other, visit))
        arrival = marks + random.choices(marks, k=3)
        random.shuffle(arrival)
        directory = Directory()
        homes = {name: name for name in NAMES}
        members = {name: {name} for name in NAMES}
        heard: dict[tuple[str, str], int] = {}
        for mark in arrival:
            for key, message in directory.take([mark]):
                if isinstance(message, Numbers):
                    continue
                name = message.stream if isinstance(message, Home) else message.home
                kind = type(message).__name__
                assert message.n > heard.get((kind, name), 0)
                heard[kind, name] = message.n
                assert key == name.partition("#")[0]
                if isinstance(message, Group):
                    members[name] = {one for one in message.members if "#" not in one}
                else:
                    homes[message.stream] = message.to
        groups, wanted, owners = truth(NAMES, marks)
        assert {name: homes[name] for name in NAMES} == wanted
        for name in NAMES:
            assert members[name] == (groups[name] if wanted[name] == name else set())
        for (origin, visit), owner in owners.items():
            stream = f"{origin}#{visit}"
            assert homes.get(stream, wanted[origin]) == wanted[owner]


def test_a_mark_touches_only_its_cluster() -> None:
    """However many patients there are, two are told of a merge of two."""
    directory = Directory()
    names = [f"{i:05}" for i in range(2_000)]
    for at, (one, other) in enumerate(zip(names[::2], names[1::2], strict=True)):
        told = directory.take([_mark(at, "merge", one, other)])
        assert sorted(key for key, _ in told) == [one, other, other]
