"""Promises about reading HL7 v2 (``events/hl7v2``)."""
