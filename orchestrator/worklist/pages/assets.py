"""Style and script as files with the hash of their content in the name: kept for ever, never stale.

One style sheet and one script a page: each bundle is several files one after the other.
"""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from fastapi import Request, Response

from orchestrator.worklist.api.guard import rule
from orchestrator.worklist.problems import Problem

FOLDER: Final = Path(__file__).with_name("static")
PREFIX: Final = "/static"

_BUNDLES: Final[dict[str, tuple[str, ...]]] = {
    "app.css": ("vendor/pico.min.css", "app.css", "work.css", "story.css"),
    "app.js": (
        "vendor/htmx.min.js",
        "vendor/hx-sse.min.js",
        "app.js",
        "live.js",
        "keys.js",
        "story.js",
    ),
    "chart.css": (
        "vendor/pico.min.css",
        "app.css",
        "work.css",
        "story.css",
        "vendor/uPlot.min.css",
    ),
    "chart.js": (
        "vendor/htmx.min.js",
        "vendor/hx-sse.min.js",
        "vendor/uPlot.iife.min.js",
        "app.js",
        "live.js",
        "keys.js",
        "story.js",
        "chart.js",
    ),
    "icon.svg": ("icon.svg",),
}
_MEDIA: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One bundle as it is sent."""

    path: str
    media: str
    plain: bytes
    zipped: bytes
    etag: str


@cache
def assets() -> dict[str, Asset]:
    """All bundles, by the name under which they are asked for."""
    return {asset.path: asset for asset in map(_made, _BUNDLES)}


def _made(name: str) -> Asset:
    files = [FOLDER / part for part in _BUNDLES[name]]
    plain = b"\n".join(file.read_bytes() for file in files if file.exists())
    digest = hashlib.sha256(plain).hexdigest()[:16]
    stem, _, ending = name.rpartition(".")
    path = f"{PREFIX}/{stem}.{digest}.{ending}"
    return Asset(path, _MEDIA[ending], plain, gzip.compress(plain, 9, mtime=0), f'"{digest}"')


@cache
def url(name: str) -> str:
    """Where ``app.css`` is, with its hash."""
    stem, _, ending = name.rpartition(".")
    return next(
        path
        for path in assets()
        if path.startswith(f"{PREFIX}/{stem}.") and path.endswith(f".{ending}")
    )


@rule(None)
async def static(request: Request, name: str) -> Response:
    """One bundle."""
    asset = assets().get(f"{PREFIX}/{name}")
    if asset is None:
        raise Problem("not-found")
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "ETag": asset.etag,
        "Vary": "Accept-Encoding",
    }
    if request.headers.get("if-none-match") == asset.etag:
        return Response(status_code=304, headers=headers)
    body = asset.plain
    if takes_gzip(request):
        body, headers["Content-Encoding"] = asset.zipped, "gzip"
    return Response(body, headers=headers, media_type=asset.media)


ROUTES: Final = ((f"{PREFIX}/{{name}}", ["GET"], static),)


def takes_gzip(request: Request) -> bool:
    """Whether the caller unpacks gzip."""
    offered = request.headers.get("accept-encoding", "")
    return any(part.strip().split(";")[0] == "gzip" for part in offered.split(","))
