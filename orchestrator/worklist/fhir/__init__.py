"""What this product derived, as FHIR R4 (``interfaces.md`` 3.5): so far tasks and patients."""
