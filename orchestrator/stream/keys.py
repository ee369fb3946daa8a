"""The key under which a patient's records lie, and the partition that a key belongs to.

The key is a keyed hash of the identifier *as sent*: every gateway and worker agrees without
asking anyone, and no log, metric or Kafka key carries a medical record number (contract.md §1).
"""

import hmac
import zlib
from typing import Final

KEY_LENGTH: Final = 32
_HEX: Final = frozenset("0123456789abcdef")


def patient_key(site_key: bytes, subject: str) -> str:
    """The first 32 hex digits of HMAC-SHA256(*site_key*, ``authority|identifier``)."""
    return hmac.digest(site_key, subject.encode(), "sha256").hex()[:KEY_LENGTH]


def facility_key(site_key: bytes, facility: str) -> str:
    """The key that owns what is said about a facility itself (``FEED_SILENT``)."""
    return patient_key(site_key, f"facility|{facility}")


def partition_of(key: str, partitions: int) -> int:
    """
    Where records of *key* lie.

    Patient keys, task ids and gap ids begin with eight hex digits, which are evenly spread;
    other keys (``identity``) are few, and any fixed hash does.
    """
    head = key[:8]
    if len(head) == 8 and _HEX.issuperset(head):
        return int(head, 16) % partitions
    return zlib.crc32(key.encode()) % partitions
