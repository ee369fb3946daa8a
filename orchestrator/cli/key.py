"""``key``: the pseudonymous key of an identifier, as topics, logs and addresses carry it."""

from pathlib import Path

from orchestrator.cli import site
from orchestrator.cli.console import say, say_json
from orchestrator.cli.faults import Mistake
from orchestrator.settings import SITE_KEY_FILE, site_key


def run(subject: str, data_dir: Path | None, *, as_json: bool) -> None:
    """Print the key of *subject* at this site."""
    from orchestrator.stream.keys import patient_key

    authority, bar, identifier = subject.partition("|")
    if not (authority.strip() and bar and identifier.strip()):
        raise Mistake("SUBJECT must be authority|identifier, as in 'GEN|MRN123' (mind the quotes)")
    here = site.load(data_dir)
    made = here.runtime == "kafka" or (here.data_dir / SITE_KEY_FILE).exists()
    if here.site_key is None and not made:
        # Made here, it would look like an answer, and be another one once `up` has started.
        raise Mistake(
            f"{here.data_dir} has no site key yet: the first `up` makes it (`publish` needs none);"
            " or set CARE_SITE_KEY"
        )
    key = patient_key(site_key(here), subject)
    if as_json:
        say_json({"patient_key": key})
    else:
        say(key)
