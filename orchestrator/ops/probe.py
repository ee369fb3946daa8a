"""``python -m orchestrator.ops.probe [--ready] [PORT]``: a container's health check; exit 0 or 1.

Asks the process that serves at ``CARE_OPS_PORT`` on this machine whether it lives, or is ready.
"""

import http.client
import os
import sys
from typing import Final

ASK_S: Final = 4.0
USUAL: Final = "8012"


def main(arguments: list[str]) -> int:
    """The exit code."""
    ready = "--ready" in arguments
    ports = [one for one in arguments if one.isdecimal()]
    port = int(ports[0] if ports else os.environ.get("CARE_OPS_PORT", USUAL))
    host = os.environ.get("CARE_HOST", "127.0.0.1")
    # What listens everywhere listens here.
    connection = http.client.HTTPConnection(
        "127.0.0.1" if host in ("0.0.0.0", "::") else host,  # noqa: S104 - asked, not bound
        port,
        timeout=ASK_S,
    )
    try:
        connection.request("GET", "/readyz" if ready else "/healthz")
        return 0 if connection.getresponse().status == 200 else 1
    except (OSError, http.client.HTTPException):
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
