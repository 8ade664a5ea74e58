"""A bounds-checked cursor over the bytes of one message, and the one error of this package."""

from __future__ import annotations

import struct

_UINT16 = struct.Struct("!H")
_INT32 = struct.Struct("!i")
_UINT32 = struct.Struct("!I")
_INT64 = struct.Struct("!q")
_UINT64 = struct.Struct("!Q")


class MalformedMessage(ValueError):
    """The bytes are not a message of the protocol that was asked for.

    The text names the part that is wrong and its offset, never the bytes themselves: they may hold row values.
    """


class Reader:
    """Reads integers (network byte order), names and byte strings of `buffer` one after the other from `position`.

    Every method raises MalformedMessage where the buffer ends too early, and allocates no more than the buffer holds.
    """

    __slots__ = ("buffer", "position")

    def __init__(self, buffer: bytes, position: int) -> None:
        self.buffer = buffer
        self.position = position

    def _unpack(self, layout: struct.Struct) -> int:
        try:
            value: int = layout.unpack_from(self.buffer, self.position)[0]
        except struct.error:
            raise self._ends_too_early(layout.size) from None
        self.position += layout.size
        return value

    def read_struct(self, layout: struct.Struct) -> tuple[int, ...]:
        """Several integers at once."""
        try:
            values: tuple[int, ...] = layout.unpack_from(self.buffer, self.position)
        except struct.error:
            raise self._ends_too_early(layout.size) from None
        self.position += layout.size
        return values

    def _ends_too_early(self, needed: int) -> MalformedMessage:
        left = max(0, len(self.buffer) - self.position)
        return MalformedMessage(f"{needed} bytes are announced at offset {self.position}, {left} are left")

    def read_uint8(self) -> int:
        try:
            value = self.buffer[self.position]
        except IndexError:
            raise self._ends_too_early(1) from None
        self.position += 1
        return value

    def read_uint16(self) -> int:
        return self._unpack(_UINT16)

    def read_int32(self) -> int:
        return self._unpack(_INT32)

    def read_uint32(self) -> int:
        return self._unpack(_UINT32)

    def read_int64(self) -> int:
        return self._unpack(_INT64)

    def read_uint64(self) -> int:
        return self._unpack(_UINT64)

    def read_bytes(self, length: int) -> bytes:
        start, end = self.position, self.position + length
        if end > len(self.buffer):
            raise self._ends_too_early(length)
        self.position = end
        return self.buffer[start:end]

    def read_character(self) -> str:
        """One byte that stands for a choice, as a character (Latin-1: any byte is one)."""
        return chr(self.read_uint8())

    def read_name(self) -> str:
        """A string that ends with a NUL byte, in UTF-8: the encoding that the session asks for."""
        end = self.buffer.find(b"\0", self.position)
        if end < 0:
            raise MalformedMessage(f"the name at offset {self.position} does not end")
        try:
            name = self.buffer[self.position : end].decode()
        except UnicodeDecodeError:
            raise MalformedMessage(f"the name at offset {self.position} is not UTF-8") from None
        self.position = end + 1
        return name

    def require_items(self, count: int, size_min: int) -> None:
        """Checks that `count` items of at least `size_min` bytes can follow, before room is made for them."""
        if count * size_min > len(self.buffer) - self.position:
            raise self._ends_too_early(count * size_min)

    def require_end(self) -> None:
        """Checks that nothing is left."""
        left = len(self.buffer) - self.position
        if left != 0:
            raise MalformedMessage(f"{left} bytes are left over after the message, at offset {self.position}")
