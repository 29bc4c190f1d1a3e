"""Compressed messages, RFC 7692, without context takeover in either direction.

Each message stands alone. So one compressed frame serves every recipient, and a connection keeps no window between
messages: with context takeover a peer costs some 40 to 300 KiB for as long as it is connected.

What a peer sends is never inflated past the bound: 261 KB of deflate can say 256 MiB.
"""

import zlib

# RFC 7692 section 7.2.1: the end of every flushed message, taken off by the sender.
_TAIL = b"\x00\x00\xff\xff"
# An empty last block after the tail. Only a message that was cut short leaves the inflater short of it.
_LAST = b"\x03\x00"
# RFC 7692 section 7.2.3.4: a sender may end with a last block of its own, and one more byte where that is needed.
_AFTER_ITS_OWN_LAST = (_TAIL + _LAST, b"\x00" + _TAIL + _LAST)

# As uvicorn has it: 16 KiB while a message is deflated, where zlib's default of 8 takes 128.
_MEMORY_LEVEL = 5


class TooBig(ValueError):
    """The message is larger than allowed when it is inflated."""


class Corrupt(ValueError):
    """What came is not one whole deflated message."""


class Inflate:
    """For a peer that compresses within a window of 2^`bits` bytes, 8 to 15. It keeps nothing between messages."""

    __slots__ = ("bits",)

    def __init__(self, bits: int) -> None:
        self.bits: int = bits

    def __call__(self, data: bytes | bytearray, limit: int) -> bytes:
        """The message, of at most `limit` bytes. Raises TooBig or Corrupt."""
        if not data:  # against section 7.2.3.6, but a flush with nothing new gives some compressors no byte at all
            return b""
        inflater = zlib.decompressobj(wbits=-self.bits)
        try:
            message = inflater.decompress(data + _TAIL + _LAST, limit + 1)
        except zlib.error:
            raise Corrupt("not deflate") from None
        if len(message) > limit:
            raise TooBig(f"more than {limit} bytes")
        if not inflater.eof:
            raise Corrupt("cut short")
        if inflater.unused_data and inflater.unused_data not in _AFTER_ITS_OWN_LAST:
            raise Corrupt("more after the last block")
        return message


def deflate(data: bytes, bits: int) -> bytes:
    """One message, to be inflated within a window of 2^`bits` bytes. Raises ValueError where `bits` is not 9 to 15."""
    # zlib writes no raw deflate of 8 bits, https://github.com/madler/zlib/issues/171.
    deflater = zlib.compressobj(wbits=-bits, memLevel=_MEMORY_LEVEL)
    return (deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH))[: -len(_TAIL)]
