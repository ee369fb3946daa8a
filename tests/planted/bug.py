"""What a planted bug is, and how it gets into a copy of the tree."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


class NotPlanted(Exception):
    """The code is not as the bug's description has it; says where."""


@dataclass(frozen=True)
class Bug:
    """
    One mistake that somebody might make one day.

    Attributes:
        name: In a few words.
        about: What it does to whom.
        file: Where, relative to the root of the tree.
        right: The code as it is; it occurs once in *file*.
        wrong: What stands there instead.
        tests: pytest's ids of the tests that must notice, each by itself.
        listed: Its name in the list of reliability.md §3.7, if it is there.
        broker: Whether the tests need Kafka and so take a minute.
    """

    name: str
    about: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]
    listed: str = ""
    broker: bool = False

    def planted(self, root: Path = ROOT) -> str:
        """
        The text of *file* with the bug in it.

        Raises:
            NotPlanted: *right* does not occur there, or more than once.
        """
        text = (root / self.file).read_text(encoding="utf-8")
        found = text.count(self.right)
        if found != 1:
            raise NotPlanted(f"{self.name}: {found} places in {self.file} are as described")
        planted = text.replace(self.right, self.wrong)
        compile(planted, self.file, "exec")
        return planted
