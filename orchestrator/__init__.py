"""The care transition orchestrator: what each discharged patient is owed, and what is missing."""
