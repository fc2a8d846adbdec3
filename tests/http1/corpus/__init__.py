"""Raw messages with their only allowed verdict, as data.

`REQUESTS` is what clients send, `ANSWERS` what backends send.
"""

from . import answers, chunks, fields, hosts, lengths, lines
from .cases import Case, Seen

REQUESTS: list[Case] = [
    *lines.CASES,
    *hosts.CASES,
    *lengths.CASES,
    *chunks.CASES,
    *fields.CASES,
]
ANSWERS: list[Case] = answers.CASES

__all__ = ["ANSWERS", "REQUESTS", "Case", "Seen"]
