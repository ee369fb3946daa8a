"""A version for what has none of its own: resources that are put together of several things."""

import hashlib
from typing import Any

import orjson


def digest(content: Any, *more: Any) -> str:
    """Another word for each other content."""
    said = orjson.dumps([content, *more], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(said).hexdigest()[:16]
