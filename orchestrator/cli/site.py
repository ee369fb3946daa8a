"""What most commands start from: the settings, with the command line above the environment."""

from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator import settings
from orchestrator.cli.console import hint
from orchestrator.cli.faults import Mistake, as_mistakes

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.settings import Settings
    from orchestrator.stream.rounds import Processor, Store
    from schemas.facilities import Facilities
    from schemas.policy import Policy


def load(
    data_dir: Path | None = None, facilities: Path | None = None, policy: Path | None = None
) -> "Settings":
    """The settings; what was given on the command line stands above them."""
    given = {"data_dir": data_dir, "facilities": facilities, "policy": policy}
    return settings.load(**{name: value for name, value in given.items() if value is not None})


def installed(site: "Settings") -> None:
    """
    Refuse a data folder in which nothing was ever begun: a mistyped one would be made anew.

    Raises:
        Mistake: It is not there; on the embedded log, no log is in it.
    """
    from orchestrator.stream.log_file import FILE

    folder = site.data_dir
    if site.runtime == "embedded" and not (folder / FILE).exists():
        raise Mistake(
            f"{folder}: there is no log here; `up` or `publish` makes one (another folder:"
            " --data-dir, CARE_DATA_DIR)"
        )
    if not folder.is_dir():
        raise Mistake(f"{folder}: there is no such folder; `worklist` makes it at its first start")


def facilities_of(site: "Settings") -> "Facilities":
    """
    The facilities file that the settings name, else the built-in one.

    Raises:
        Mistake: It cannot be read; says where and why.
    """
    from schemas.facilities import Facilities
    from schemas.yaml_node import FileFault

    try:
        with as_mistakes(unusable=FileFault):
            return Facilities.load(site.facilities)
    except FileFault as fault:
        raise Mistake(f"{fault}{advice(site.facilities)}") from None


def advice(facilities: Path | None) -> str:
    """What a facilities file is, for who named something that does not look like one."""
    if facilities is None or facilities.suffix in (".yaml", ".yml"):
        return ""
    return (
        "; a facilities file is YAML with one mapping per facility,"
        " as in GEN: {zone: America/New_York}"
    )


def policies_of(site: "Settings") -> "tuple[Policy, ...]":
    """
    The policies of the file that the settings name, after the built-in one.

    Raises:
        Mistake: It cannot be read; says where and why.
    """
    from schemas.policy import load_policies

    with as_mistakes():
        return load_policies(site.policy)


def teams_of(site: "Settings") -> frozenset[str]:
    """Every team that some policy of the settings may give a task to."""
    return frozenset(team for policy in policies_of(site) for team in policy.teams)


def processor_of(
    site: "Settings", facilities: "Facilities", key: bytes
) -> "Callable[[Store], Processor]":
    """
    What makes the runtime's processor over its store, under the policies of the settings.

    Args:
        key: The site key; a run of an exported journal, which addresses nobody, may have any.
    """
    from orchestrator.stream.processor import Processor
    from orchestrator.stream.rules import rules

    in_force = rules(policies_of(site), facilities)
    return lambda store: Processor(store, in_force, facilities, key)


def warn_of_empty(site: "Settings", listed: "Facilities") -> None:
    """Say that a facilities file says nothing, which nobody means."""
    if site.facilities is not None and not listed.versions and listed.default is None:
        hint(f"{site.facilities} lists no facility: times without an offset will be refused")


def warn_of_unlisted(site: "Settings", listed: "Facilities", seen: set[str]) -> None:
    """Name the facilities that no file lists: for those the default zone was taken."""
    unlisted = sorted(facility for facility in seen if not listed.listed(facility))
    if unlisted:
        zone = listed.get(unlisted[0]).zone
        names = ", ".join(unlisted)
        if site.facilities is None:
            hint(f"no facilities file: {names} taken as {zone} (--facilities FILE says otherwise)")
        else:
            hint(f"not in the facilities file, so taken as {zone}: {names}")
