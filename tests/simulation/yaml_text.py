"""A mapping as YAML text, so that model and product read the same facilities."""

import json
from typing import Any


def as_yaml(said: dict[str, Any]) -> str:
    """JSON is YAML."""
    return json.dumps(said, indent=1)
