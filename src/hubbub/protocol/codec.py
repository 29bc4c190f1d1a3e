"""JSON in and out, strictly.

In: one object a frame, no duplicate keys (a proxy and we could disagree on `type`), no NaN or infinity (RFC 8259
section 6; no browser parses them), no lone surrogates (they cannot be written as UTF-8, so one such message, passed
on, would fail for every member of a room), bounded depth (so that no input can exhaust the stack), bounded number of
values (so that none costs much to read: of two messages of 64 KiB one may take a hundred times as long as the other).

Out: `Prepared`, one message encoded once, shared by all who receive it. What cannot be sent fails here, in the
sender's turn, before anyone else is involved.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_json

from hubbub.errors import InvalidMessage
from hubbub.protocol.deflate import deflate
from hubbub.protocol.fast_path import plain, written
from hubbub.protocol.frames import text_frame

# The whole of a frame is at fault, not one field of it: the empty pointer of RFC 6901 section 3.
WHOLE = ""

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_BRACKET = re.compile(r"[\[{\]}]")


# Smaller messages hold little to compress, and cost the recipient an inflater each.
_WORTH_DEFLATING_BYTES = 128


class Prepared:
    """One outgoing message, encoded once. `data` is the UTF-8 JSON.

    `text` (the same as str), `frame` (as it goes on the wire) and `deflated` are made when first asked, and kept.
    """

    __slots__ = ("_deflated", "_frame", "_text", "data")

    def __init__(self, data: bytes) -> None:
        self.data: bytes = data
        self._text: str | None = None
        self._frame: bytes | None = None
        self._deflated: dict[int, bytes] | None = None

    @property
    def text(self) -> str:
        if self._text is None:
            self._text = self.data.decode()
        return self._text

    @property
    def frame(self) -> bytes:
        if self._frame is None:
            self._frame = text_frame(self.data)
        return self._frame

    def deflated(self, bits: int) -> bytes:
        """The frame for a window of 2^`bits` bytes, 9 to 15: the plain one where deflating saves nothing."""
        if len(self.data) < _WORTH_DEFLATING_BYTES:
            return self.frame
        if self._deflated is None:
            self._deflated = {}
        frame = self._deflated.get(bits)
        if frame is None:
            frame = text_frame(deflate(self.data, bits), compressed=True)
            self._deflated[bits] = frame = frame if len(frame) < len(self.frame) else self.frame
        return frame

    def __len__(self) -> int:
        return len(self.data)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        # The refusal is sent back, and a lone surrogate in the key could not be.
        raise InvalidMessage("a key occurs twice", field=twice.encode("utf-8", "replace").decode())
    return fields


def _constant(name: str) -> Any:
    raise InvalidMessage(f"{name} is not JSON", field=WHOLE)


def _number(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise InvalidMessage("a number is too large", field=WHOLE)
    return number


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_number)
_looking_for_constants = json.JSONDecoder(parse_constant=_constant, parse_float=str, parse_int=str)


def check_nodes(text: str, limit: int) -> None:
    """Raises InvalidMessage where this JSON has more values than `limit`, those in lists and objects counted.

    What is empty counts twice. Need not be asked of a text of so many characters at most, which cannot have more.
    """
    # All values but the first of a list or an object have a comma before them.
    if _separators(text) >= limit and _separators(_bare(text)) >= limit:
        raise InvalidMessage(f"JSON has more than {limit} values", field=WHOLE)


def _separators(text: str) -> int:
    return text.count(",") + text.count("{") + text.count("[")


def _bare(text: str) -> str:
    """Without its strings.

    A backslash outside of a string may spoil what follows it. But that is no JSON, and nobody reads further.
    """
    if "\\" in text:
        text = text.replace("\\\\", "").replace('\\"', "")
    return "".join(text.split('"')[::2])


def decode(text: str, *, depth: int) -> dict[str, Any]:
    """One frame's JSON object.

    Raises InvalidMessage, with `field` the duplicate key or the empty string, for everything this module's head
    refuses.
    """
    fields = plain(text)
    return fields if fields is not None else _strictly(text, depth)


def _strictly(text: str, depth: int) -> dict[str, Any]:
    if text.count("{") + text.count("[") > depth and _is_deeper(text, depth):
        raise InvalidMessage(f"JSON is nested deeper than {depth}", field=WHOLE)
    try:
        message = _decoder.decode(text)
        text.isascii() or text.encode()
        if _SURROGATE.search(text):
            json.dumps(message, ensure_ascii=False).encode()
    except (ValueError, RecursionError):  # also UnicodeEncodeError, and integers of more than 4,300 digits
        raise InvalidMessage("not JSON", field=WHOLE) from None
    if not isinstance(message, dict):
        raise InvalidMessage("not a JSON object", field=WHOLE)
    return message


def _is_deeper(text: str, depth: int) -> bool:
    bare = _bare(text)
    if bare.count("{") + bare.count("[") <= depth:
        return False
    level = 0
    for bracket in _BRACKET.finditer(bare):
        level += 1 if bracket[0] in "[{" else -1
        if level > depth:
            return True
    return False


def encode(message: object) -> bytes:
    """UTF-8 JSON of a mapping, a Pydantic model, or anything Pydantic can serialise.

    Raises ValueError for what JSON cannot say: NaN, infinity, lone surrogates, unknown objects. What a Pydantic model
    writes for NaN and infinity is its own affair (`ser_json_inf_nan`, null by default).
    """
    plainly = written(message)
    if plainly is not None:
        return plainly
    try:
        data = to_json(message, inf_nan_mode="constants")
    except (PydanticSerializationError, UnicodeEncodeError) as error:
        raise ValueError(f"the message cannot be written as JSON: {error}") from None
    if b"NaN" in data or b"Infinity" in data:
        try:
            _looking_for_constants.decode(data.decode())
        except InvalidMessage as error:
            raise ValueError(f"the message cannot be written as JSON: {error.message}") from None
    return data


def as_mapping(message: Mapping[str, Any] | BaseModel) -> dict[str, Any]:
    """The fields of an application's message, as they go on the wire.

    Raises TypeError for anything else.
    """
    fields = message.model_dump(mode="json", by_alias=True) if isinstance(message, BaseModel) else message
    if isinstance(fields, Mapping):  # a RootModel may be a list
        return dict(fields)
    raise TypeError(f"a message is a mapping or a Pydantic model, not {type(message).__name__}")
