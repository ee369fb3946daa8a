"""How large pages are on the way and unpacked, against the budgets of ``screens.md``."""

import asyncio
import gzip
import re
from typing import Final, NamedTuple

import httpx

from bench.worklist.page_load import Pages, Reader

ZIPPED_MAX: Final = 25_000  # a later page
FIRST_MAX: Final = 60_000  # with style and script
CHART_MAX: Final = 90_000  # /operations, which draws
RAW_MAX: Final = 150_000  # of fifty rows

_ASSET: Final = re.compile(rb'(?:href|src)="(/static/[^"]+)"')


class Size(NamedTuple):
    zipped: int
    raw: int
    first: int  # with all that a page brings along


async def sizes(url: str, pages: Pages) -> str:
    """A table of pages."""
    return await asyncio.to_thread(_table, url, pages)


def _table(url: str, pages: Pages) -> str:
    lines = [
        "| page | compressed | unpacked | first visit | met |",
        "|---|---|---|---|---|",
    ]
    for reader, path in pages.examples():
        size = _size(url, reader, path)
        first_max = CHART_MAX if path == "/operations" else FIRST_MAX
        met = size.zipped <= ZIPPED_MAX and size.raw <= RAW_MAX and size.first <= first_max
        shown = " | ".join(f"{bytes_ / 1000:.1f} kB" for bytes_ in size)
        lines.append(f"| {_pattern(path)} | {shown} | {'yes' if met else '**no**'} |")
    return "\n".join(lines)


def _pattern(path: str) -> str:
    head, _, rest = path.partition("?")
    parts = head.split("/")
    return "/".join("…" if len(part) > 20 else part for part in parts) + ("?…" if rest else "")


def _size(url: str, reader: Reader, path: str) -> Size:
    page = _packed(url + path, reader)
    raw = gzip.decompress(page)
    brought = {one.decode() for one in _ASSET.findall(raw)}
    more = sum(len(_packed(url + one, reader)) for one in brought)
    return Size(len(page), len(raw), len(page) + more)


def _packed(url: str, reader: Reader) -> bytes:
    headers = {"Cookie": reader.cookie, "Accept-Encoding": "gzip"}
    with httpx.stream("GET", url, headers=headers) as answer:
        assert answer.headers["content-encoding"] == "gzip", url
        return b"".join(answer.iter_raw())
