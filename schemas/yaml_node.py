"""Reads a YAML file that people edit, so that each complaint names its line and field.

Every scalar stays the text that stands in the file; whoever reads a field says what it must be.
YAML 1.1 would turn the facility ``NO`` into false and the disposition ``07`` into 7.  Keys
given twice, anchors and tags are refused: each can make a file mean what its author does not see.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Never

import yaml

_TAGS: Final = frozenset(
    f"tag:yaml.org,2002:{kind}"
    for kind in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp")
)


class FileFault(ValueError):
    """What is wrong with a settings file, and where; shown to its author as it stands."""


class FieldFault(FileFault):
    """
    The same of one field, for whoever shows the parts.

    Attributes:
        line: ``None``: it has none.
        field: Its way from the top, ``calls.attempt_spacing``; empty: the whole file.
        complaint: What is wrong, and what is allowed; not what stands there.
    """

    def __init__(self, line: int | None, field: str, complaint: str) -> None:
        where = [f"line {line}"] if line is not None else []
        super().__init__(": ".join([*where, *([field] if field else []), complaint]))
        self.line = line
        self.field = field
        self.complaint = complaint


@dataclass(frozen=True, slots=True)
class Node:
    """One value of the file and where it stands: ``GEN.feeds.adt``, line 4."""

    path: str
    line: int
    value: "str | list[Node] | dict[str, Node] | None"

    def fault(self, complaint: str) -> Never:
        raise FieldFault(self.line, self.path or "the file", complaint)

    def mapping(self, known: Iterable[str] | None = None) -> "Mapping[str, Node]":
        """The members, none if nothing stands there; with *known*, any other key is refused."""
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            self.fault("must be a mapping")
        if known is not None:
            known = set(known)
            for key, node in self.value.items():
                if key not in known:
                    node.fault(f"is not known here; known: {', '.join(sorted(known))}")
        return self.value

    def items(self) -> "list[Node]":
        if not isinstance(self.value, list):
            self.fault("must be a list")
        return self.value

    def text(self) -> str:
        if not isinstance(self.value, str) or not self.value.strip():
            self.fault("must be a text")
        return self.value

    def boolean(self) -> bool:
        word = self.value.lower() if isinstance(self.value, str) else ""
        if word not in ("true", "false"):
            self.fault("must be true or false")
        return word == "true"

    def choice(self, allowed: Iterable[str]) -> str:
        text = self.text()
        if text not in (allowed := tuple(allowed)):
            self.fault(f"must be one of {', '.join(allowed)}")
        return text

    def texts(self) -> tuple[str, ...]:
        return tuple(item.text() for item in self.items())

    def text_map(self) -> dict[str, str]:
        return {key: node.text() for key, node in self.mapping().items()}


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            line = self.line + 1  # where the reader is: on the alias or just after it
            raise FieldFault(line, "", "anchors and aliases are not read here")
        return super().compose_node(parent, index)


def read_yaml(text: str) -> Node | None:
    """
    Parse one YAML document; ``None`` if it holds nothing.

    Raises:
        FieldFault: Not YAML, or it uses what this reader refuses.
    """
    loader = None
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        return None if root is None else _node(root, "")
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise FieldFault(line, "", f"is not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError:  # a character that YAML forbids
        raise FieldFault(None, "", "is not YAML: it holds characters that are not text") from None
    except RecursionError:
        raise FieldFault(None, "", "is nested too deeply") from None
    finally:
        if loader is not None:
            loader.dispose()


def _node(node: yaml.Node, path: str) -> Node:
    line = node.start_mark.line + 1
    if node.tag not in _TAGS:
        raise FieldFault(line, path or "the file", "tags are not read here")
    if isinstance(node, yaml.SequenceNode):
        items = [_node(item, f"{path}[{at}]") for at, item in enumerate(node.value)]
        return Node(path, line, items)
    if isinstance(node, yaml.MappingNode):
        members: dict[str, Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise FieldFault(key.start_mark.line + 1, "", "a key must be a word")
            where = f"{path}.{key.value}" if path else key.value
            if key.value in members:
                raise FieldFault(key.start_mark.line + 1, where, "is given twice")
            members[key.value] = _node(value, where)
        return Node(path, line, members)
    return Node(path, line, None if node.tag.endswith(":null") else node.value)
