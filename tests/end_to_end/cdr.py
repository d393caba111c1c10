"""An encoder of sensor_msgs/msg/JointState that can lie.

Written from the definition of the message and of plain CDR (DDSI-RTPS 2.5, 10.2; CORBA CDR, 15.3) and independent of
every other implementation; test_cdr.py compares it with ROS's own.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

ByteOrder = Literal["little", "big"]

ENCAPSULATIONS: Mapping[ByteOrder, bytes] = {"big": b"\0\0\0\0", "little": b"\0\1\0\0"}


@dataclass(frozen=True)
class Encoding:
    """How a message is written down; the defaults are what an honest little-endian sender does."""

    order: ByteOrder = "little"
    encapsulation: bytes | None = None
    padding_byte: bytes = b"\0"
    terminator: bytes = b"\0"
    trailing: bytes = b""
    # Counts to announce in place of the true ones: of "names", "position", "velocity" or "effort", or the length of
    # the string "frame_id" or "name".
    announced: Mapping[str, int] = field(default_factory=dict)


HONEST = Encoding()


def joint_state(
    names: Sequence[str | bytes] = (),
    position: Sequence[float] = (),
    velocity: Sequence[float] = (),
    effort: Sequence[float] = (),
    *,
    stamp: tuple[int, int] = (0, 0),
    frame_id: bytes = b"",
    encoding: Encoding = HONEST,
) -> bytes:
    """A serialized message with its encapsulation header."""
    writer = _Writer(encoding)
    writer.integer("i", stamp[0])
    writer.integer("I", stamp[1])
    writer.string("frame_id", frame_id)
    writer.count("names", len(names))
    for name in names:
        writer.string("name", name.encode() if isinstance(name, str) else name)
    writer.doubles("position", position)
    writer.doubles("velocity", velocity)
    writer.doubles("effort", effort)
    encapsulation = encoding.encapsulation
    if encapsulation is None:
        encapsulation = ENCAPSULATIONS[encoding.order]
    return encapsulation + bytes(writer.body) + encoding.trailing


class _Writer:
    def __init__(self, encoding: Encoding) -> None:
        self.body = bytearray()
        self._encoding = encoding
        self._prefix = "<" if encoding.order == "little" else ">"

    def integer(self, code: Literal["i", "I"], value: int) -> None:
        self._primitive(code, value)

    def count(self, what: str, true_count: int) -> None:
        self.integer("I", self._encoding.announced.get(what, true_count))

    def string(self, what: str, text: bytes) -> None:
        terminated = text + self._encoding.terminator
        self.count(what, len(terminated))
        self.body += terminated

    def doubles(self, what: str, values: Sequence[float]) -> None:
        self.count(what, len(values))
        for value in values:
            self._primitive("d", value)

    def _primitive(self, code: str, value: float) -> None:
        size = struct.calcsize("<" + code)
        self.body += self._encoding.padding_byte * (-len(self.body) % size)
        self.body += struct.pack(self._prefix + code, value)
