"""What a broker writes before an envelope of a kept message. In the sources only scripts on the broker do."""

from hubbub.types import Position


def positioned(position: Position, envelope: bytes) -> bytes:
    return b"\x01\xff" + f"{position.epoch}:{position.offset}:".encode("ascii") + envelope
