"""The REST API below ``/api/v1`` (``interfaces.md`` 3.1 to 3.4)."""
