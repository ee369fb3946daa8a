"""Who is whom across partitions: the directory, the streams of identifiers, and their charts."""

from typing import Final

IDENTITY: Final = "identity"  # the journal key of the directory
