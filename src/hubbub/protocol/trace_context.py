"""Which trace a message belongs to, as one line of text beside it: W3C Trace Context, its two headers in one.

`traceparent`, and where there is one, `;` and `tracestate`. Whoever has no tracer passes it on and never reads it.
What comes from the broker may be anything: what is none, or is longer than it may be, is no context, and the message
is delivered all the same.
"""

import re
from typing import NamedTuple

#: Characters of a `tracestate`, at most: what everybody has to carry, section 3.3.1.5. A longer one is left out.
MOST_STATE = 512

_PARENT = 55
_MOST = _PARENT + 1 + MOST_STATE
_SHAPE = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:;([\x20-\x7e]*))?")


class TraceContext(NamedTuple):
    """A span: its trace, itself, whether it was sampled (bit 0 of `flags`), and what tracers tell each other."""

    trace_id: int
    span_id: int
    flags: int
    state: str = ""

    def __str__(self) -> str:
        parent = f"00-{self.trace_id:032x}-{self.span_id:016x}-{self.flags:02x}"
        state = self.state
        return f"{parent};{state}" if 0 < len(state) <= MOST_STATE and _is_printable(state) else parent


def read(text: str) -> TraceContext | None:
    """None for what is no context. Section 3.2.2: `ff` is no version, and nothing is zero."""
    found = _SHAPE.fullmatch(text) if len(text) <= _MOST else None
    if found is None or found[1] == "ff":
        return None
    context = TraceContext(int(found[2], 16), int(found[3], 16), int(found[4], 16), found[5] or "")
    return context if context.trace_id and context.span_id else None


def _is_printable(text: str) -> bool:
    return text.isascii() and text.isprintable()
