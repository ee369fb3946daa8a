"""The directions in which modules may import, and what only the edges may touch.

Directions: `design.md`, Layout.  Read off the source, so that an import inside a function or under
``TYPE_CHECKING`` counts like any other.
"""

import ast
import importlib.metadata
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent
OURS: Final = ("schemas", "events", "handlers", "orchestrator")

# Part -> the parts of ours that it may import beside itself; longest name wins.
MAY_IMPORT: Final[dict[str, tuple[str, ...]]] = {
    "schemas": (),
    "events": ("schemas",),
    "handlers": ("schemas", "orchestrator.core"),
    "orchestrator": (),  # the package's own __init__
    "orchestrator.core": (),
    "orchestrator.log": (),
    "orchestrator.private_file": (),
    "orchestrator.settings": ("orchestrator.log",),
    "orchestrator.simulate": (),
    "orchestrator.stream": (
        "schemas",
        "events",
        "handlers",
        "orchestrator.core",
        "orchestrator.log",
        "orchestrator.private_file",
    ),
    "orchestrator.ops": (
        "schemas",
        "orchestrator.core",
        "orchestrator.log",
        "orchestrator.stream",
    ),
    # It decides nothing: what it knows of the runtimes stands in its adapters to the log.
    "orchestrator.worklist": (
        "schemas",
        "events",
        "orchestrator.log",
        "orchestrator.ops",
        "orchestrator.private_file",
        "orchestrator.worklist.log",
        "orchestrator.worklist.retrying",
    ),
    "orchestrator.worklist.log": ("schemas", "orchestrator.stream", "orchestrator.worklist"),
    # What is sent again goes through the adapters of the doors.
    "orchestrator.worklist.retrying": (
        "schemas",
        "events",
        "orchestrator.log",
        "orchestrator.stream",
        "orchestrator.worklist",
        "orchestrator.worklist.log",
    ),
    "orchestrator.cli": (
        "schemas",
        "events",
        "handlers",
        "orchestrator.core",
        "orchestrator.log",
        "orchestrator.ops",
        "orchestrator.settings",
        "orchestrator.simulate",
        "orchestrator.stream",
        "orchestrator.worklist",
        "orchestrator.worklist.log",
        "orchestrator.worklist.retrying",
    ),
}

# The core is pure: what it imports from outside must be, too.
CORE_MAY_USE: Final = frozenset(
    {
        "abc", "bisect", "collections", "dataclasses", "datetime", "enum", "functools", "hashlib",
        "heapq", "itertools", "math", "operator", "re", "typing", "uuid", "zoneinfo",
    }
)  # fmt: skip

# Calls whose answer is another one each time, and the modules that are edges for them.
UNREPEATABLE: Final = frozenset(
    {
        "datetime.now", "datetime.today", "datetime.utcnow", "date.today",
        "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.date.today",
        "time.time", "time.time_ns", "time.localtime", "time.gmtime", "time.strftime",
        "uuid.uuid1", "uuid.uuid4", "uuid4", "uuid1", "os.urandom", "random.SystemRandom",
        "secrets.token_hex", "secrets.token_bytes", "secrets.token_urlsafe", "secrets.choice",
        "random.random", "random.randrange", "random.randint", "random.choice", "random.choices",
        "random.shuffle", "random.sample", "random.uniform", "random.gauss", "random.seed",
    }
)  # fmt: skip
EDGES: Final = {
    "orchestrator.stream.clock": "the one place that looks at the machine's clock",
    "orchestrator.stream.log_file": "names a new log, once, when it is made",
    "orchestrator.settings": "makes the site key at first start",
    "orchestrator.worklist.edge": "when somebody did something, ids of requests, secrets",
}


class Module(NamedTuple):
    name: str
    path: Path
    tree: ast.Module


def modules() -> Iterator[Module]:
    for package in OURS:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            yield Module(name, path, ast.parse(path.read_text(encoding="utf-8")))


MODULES: Final = list(modules())


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that is imported; ``from a import b`` is ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the direction"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def part_of(name: str) -> str | None:
    """The part that a module belongs to; ``None``: not ours."""
    if name.split(".", 1)[0] not in OURS:
        return None
    return max((part for part in MAY_IMPORT if f"{name}.".startswith(f"{part}.")), key=len)


def test_every_module_is_seen() -> None:
    """The rules below are about something: each part has modules."""
    assert {part_of(module.name) for module in MODULES} == set(MAY_IMPORT)


def test_imports_point_inwards() -> None:
    """Each part imports only what `design.md` lets it, so that the core stays pure."""
    wrong = [
        f"{module.name}:{line} imports {name}"
        for module in MODULES
        for line, name in imported(module.tree)
        if (part := part_of(name)) is not None
        and (mine := part_of(module.name)) is not None
        and part not in (mine, *MAY_IMPORT[mine])
    ]

    assert wrong == []


def test_the_core_uses_nothing_that_can_act() -> None:
    """No I/O, no clock, no await, no pydantic in the core: only what computes."""
    core = [module for module in MODULES if part_of(module.name) == "orchestrator.core"]
    wrong = [
        f"{module.name}:{line} imports {name}"
        for module in core
        for line, name in imported(module.tree)
        if part_of(name) is None and name.split(".", 1)[0] not in CORE_MAY_USE
    ]
    wrong += [
        f"{module.name}:{node.lineno} is asynchronous"
        for module in core
        for node in ast.walk(module.tree)
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith)
    ]

    assert wrong == []


def test_only_edges_ask_for_time_and_chance() -> None:
    """Same journal, same bytes: nothing but a listed edge looks at a clock or throws dice."""
    wrong = [
        f"{module.name}:{node.lineno} calls {ast.unparse(node.func)}"
        for module in MODULES
        if module.name not in EDGES
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in UNREPEATABLE
    ]

    assert wrong == []


@pytest.mark.parametrize("name", EDGES)
def test_every_edge_is_needed(name: str) -> None:
    """An edge that asks for neither any more leaves the list."""
    (module,) = [module for module in MODULES if module.name == name]

    assert any(
        isinstance(node, ast.Call) and ast.unparse(node.func) in UNREPEATABLE
        for node in ast.walk(module.tree)
    )


@pytest.mark.parametrize("package", OURS)
def test_no_other_distribution_provides_our_packages(package: str) -> None:
    """Four general names at the top level: in our environment they must be ours alone."""
    providers = importlib.metadata.packages_distributions().get(package, [])

    assert set(providers) == {"care-orchestrator"}


LONGEST: Final = 400


def test_every_module_can_be_read_in_one_sitting() -> None:
    """A stranger finds each line: no module of ours is longer than 400 (`style.md`)."""
    lengths = {m.name: m.path.read_text(encoding="utf-8").count("\n") for m in MODULES}

    assert {name: lines for name, lines in lengths.items() if lines > LONGEST} == {}


def test_every_module_says_what_it_is_for() -> None:
    """Its docstring is the sentence that the folder listing lacks."""
    silent = [m.name for m in MODULES if not (ast.get_docstring(m.tree) or "").strip()]

    assert silent == []
