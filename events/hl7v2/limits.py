"""What one message may cost, judged on its bytes before anything is parsed.

A parser that splits first and counts afterwards can be made to spend half a minute and gigabytes
on one megabyte (``reliability.md`` 4.10, H1-H3, H20).  Everything behind this gate is at worst
linear in a size that is known to be small.
"""

from typing import Final

from events.reject import Reject

MESSAGE_BYTES_MAX: Final = 1024 * 1024  # interfaces.md section 1.2
SEGMENTS_MAX: Final = 1000
FIELDS_MAX: Final = 500
REPETITIONS_MAX: Final = 200


def check_size(raw: bytes) -> None:
    """
    Raises:
        Reject: ``too-large``.
    """
    if len(raw) > MESSAGE_BYTES_MAX:
        raise Reject("too-large", f"message is longer than {MESSAGE_BYTES_MAX} bytes")


def check_shape(body: bytes, field: bytes, repetition: bytes) -> None:
    """
    Count segments, fields and repetitions.

    Args:
        body: Segments ended by CR; in a multi-byte charset a delimiter may be counted that is
            half of a character, which can only refuse a message of an extreme shape.

    Raises:
        Reject: ``malformed``; *place* is the segment by its number, as its name is input.
    """
    if body.count(b"\r") >= SEGMENTS_MAX:
        raise Reject("malformed", f"more than {SEGMENTS_MAX} segments")
    # Most messages are below both limits as a whole, and then no segment needs a look.
    many_fields = body.count(field) > FIELDS_MAX
    many_repetitions = body.count(repetition) >= REPETITIONS_MAX
    if not (many_fields or many_repetitions):
        return
    for number, segment in enumerate(body.split(b"\r"), 1):
        if segment.count(field) > FIELDS_MAX:
            raise Reject("malformed", f"more than {FIELDS_MAX} fields in segment {number}")
        if segment.count(repetition) < REPETITIONS_MAX:
            continue
        if any(part.count(repetition) >= REPETITIONS_MAX for part in segment.split(field)):
            raise Reject(
                "malformed", f"more than {REPETITIONS_MAX} repetitions in segment {number}"
            )
