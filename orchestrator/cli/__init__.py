"""The command line: ``care-orchestrator COMMAND`` (`contract.md` §6).

``app`` lists the commands, each command has a module of its own and imports what it needs when it
runs, so that ``--help`` answers at once.
"""

from orchestrator.cli.app import main

__all__ = ["main"]
