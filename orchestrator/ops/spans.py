"""How long something lasted, in words that a person can compare at a glance."""

from datetime import timedelta


def length(span: timedelta) -> str:
    """``3 h 5 min``, ``1 d 20 h``, ``under 1 min``: the two largest units."""
    minutes = int(span.total_seconds()) // 60
    units = (("d", minutes // 1440), ("h", minutes // 60 % 24), ("min", minutes % 60))
    parts = [f"{number} {unit}" for unit, number in units]
    first = next((index for index, (_, number) in enumerate(units) if number), None)
    if first is None:
        return "under 1 min"
    shown = [parts[i] for i in (first, first + 1) if i < len(units) and units[i][1]]
    return " ".join(shown)


def of_seconds(seconds: float) -> str:
    """The same, to the second below a minute."""
    return f"{seconds:.0f} s" if seconds < 60 else length(timedelta(seconds=seconds))
