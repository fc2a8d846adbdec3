"""How a table of answers begins: who reads all of it is `upstream/table_file`."""

from __future__ import annotations

import struct
from typing import Final

MAGIC: Final = b"RAMPTAB1"
HEAD: Final = struct.Struct("<8sdQQQ")
"""Magic, time of the data, rows, slots, place of the index."""
