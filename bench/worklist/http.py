"""The worklist over real HTTP: 100,000 open tasks, 200 live streams, actions, events, audit on.

    python -m bench.worklist.http [--tasks N] [--seconds S] [--folder F]

Half of the streams are pages', and every fourth request is one for a page or its form.
The product is ``up`` in a process of its own, with tokens, rate limits and audit as at a site; the
load is this process.  Wall clock: other work on the machine shows in the figures.
"""

import argparse
import asyncio
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp

from bench.worklist.load import TEAMS, Load, people
from bench.worklist.page_load import add_users
from bench.worklist.sizes import sizes
from bench.worklist.stage import Product, fill, product
from bench.worklist.told import Told, percentile


class Target(NamedTuple):
    """A promise of issue 6."""

    share: float
    seconds: float


TARGETS: Final = {
    "list": Target(0.99, 0.1),
    "list, first page": Target(0.99, 0.1),
    "list, page 900": Target(0.99, 0.1),
    "search": Target(0.99, 0.1),
    "task": Target(0.99, 0.15),
    "patient": Target(0.99, 0.15),
    "action": Target(0.95, 1.0),
    "action to screen": Target(0.95, 2.0),
    "event to screen": Target(0.95, 2.0),
    "page: my work": Target(0.99, 0.1),
    "page: my work, page 900": Target(0.99, 0.1),
    "page: task": Target(0.99, 0.15),
    "page: patient": Target(0.99, 0.15),
    "page: gaps": Target(0.99, 0.1),
    "page: find": Target(0.99, 0.1),
    "page: operations": Target(0.99, 0.1),
    "page: operations, numbers": Target(0.99, 0.1),
    "page: accept": Target(0.95, 1.0),
    "page: action to screen": Target(0.95, 2.0),
    "page: event to screen": Target(0.95, 2.0),
}


async def measured(running: Product, seconds: float, *, streams: bool) -> tuple[Told, str]:
    """Let the teams work; and how large the pages are."""
    connector, jar = aiohttp.TCPConnector(limit=0), aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as session:
        load = Load(running, session)
        await load.prepare()
        return await load.run(seconds, streams), await sizes(running.url, load.pages)


async def cost(running: Product, times: int) -> str:
    """What each kind of request costs alone: CPU time, the same on a busy machine."""
    connector, jar = aiohttp.TCPConnector(limit=0), aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as session:
        load = Load(running, session)
        await load.prepare()
        found = await load.costs(times)
    return "\n".join(f"| {kind} | {seconds * 1000:.1f} ms |" for kind, seconds in found.items())


def table(told: Told) -> str:
    """The figures against the targets."""
    lines = [
        "| what | times | p50 | p95 | p99 | max | target | met |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind, target in TARGETS.items():
        took = told.took.get(kind, [])
        if not took:
            lines.append(f"| {kind} | 0 | | | | | | **no** |")
            continue
        shown = [percentile(took, share) * 1000 for share in (0.5, 0.95, 0.99, 1.0)]
        met = "yes" if percentile(took, target.share) <= target.seconds else "**no**"
        goal = f"p{target.share * 100:.0f} ≤ {target.seconds * 1000:.0f} ms"
        cells = " | ".join(f"{ms:.0f} ms" for ms in shown)
        lines.append(f"| {kind} | {len(took):,} | {cells} | {goal} | {met} |")
    return "\n".join(lines)


def main() -> None:
    """Stage, measure, tell."""
    parser = argparse.ArgumentParser(prog="python -m bench.worklist.http", description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--folder", type=Path, help="kept, and used again if it is there")
    parser.add_argument("--no-streams", action="store_true")
    parser.add_argument("--cost", type=int, help="so many of each kind alone, in CPU time")
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() if chosen.folder is None else nullcontext(chosen.folder)
    ) as folder:
        fill(Path(folder), chosen.tasks)
        add_users(Path(folder), [(name, role, TEAMS, place) for name, role, place in people()])
        with product(Path(folder)) as running:
            if chosen.cost is not None:
                print(asyncio.run(cost(running, chosen.cost)))
                return
            at_start = running.rss_bytes() / 1e6
            told, large = asyncio.run(
                measured(running, chosen.seconds, streams=not chosen.no_streams)
            )
    print(table(told))
    others = {f"{kind} {status}": n for (kind, status), n in told.answers.items() if status != 200}
    rss = [size / 1e6 for size in told.rss]
    print(
        f"\nnot 200: {others or 'none'}; on streams {told.shown:,} events, {told.resyncs} resyncs"
    )
    parts = ", ".join(f"{rss[(len(rss) - 1) * part // 6]:.0f}" for part in range(7))
    print(f"memory {at_start:.0f} MB at the start; from all streams open to the end: {parts}")
    print(f"\n{large}\n")
    print(f"{told.cpu_s:.1f} CPU seconds of the product in {chosen.seconds:.0f} s")


if __name__ == "__main__":
    main()
