"""How a server is spoken to: what the tool has to know of a protocol, for peers that are not `hubbub.v1` as well.

The tool finds a delivery by a tag of its own in the content, as bytes. Parsing every delivery as JSON lost: it costs
more than reading it, and the server is what is to be measured. So a dialect is asked at three moments only: when a
connection opens, once for the frame that a connection sends, and for frames that are no delivery.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an opening: `send` goes out as a text frame, then frames are read until one of them is `ready`.

    `send=None` sends nothing, as a step that only waits, for a `welcome` say. `ready` is given the payload of every
    text frame that arrives; `ready=None` waits for nothing.
    """

    send: str | None = None
    ready: Callable[[bytes], bool] | None = None


class Dialect(Protocol):
    """What the tool asks. `i` is the connection's number, from 0; `room` a name the tool made, of letters and digits.

    A *payload* is the UTF-8 of one text message from the server, its fragments joined. Nothing here may block.

        class Plain:                      # for a server that sends to everybody whatever it is sent
            subprotocols = ()
            delivery = b""
            def path(self, i): return "/ws"
            def headers(self, i): return []
            def opening(self, i, room): return []
            def message(self, i, room, content, id): return json.dumps({"room": room, "content": content})
            def answer(self, payload): return None
            def refusal(self, payload): return None
    """

    @property
    def subprotocols(self) -> Sequence[str]:
        """Offered in `Sec-WebSocket-Protocol`, in this order, by every connection; empty: the header is not sent.

        For something that differs by connection, a credential say, `headers` has `Sec-WebSocket-Protocol` itself.
        """

    @property
    def delivery(self) -> bytes:
        """What a payload must contain, beside the tag, to count as a delivery; in the workload `request`, as the reply.

        Empty: the tag is enough. It tells a delivery from other frames that carry the tag, such as an `error` that
        echoes the request's `id`, or an acknowledgement to the publisher.
        """

    def path(self, i: int) -> str:
        """The target of the GET, with query: `/ws?user=7`. Percent-encoded already."""

    def headers(self, i: int) -> list[tuple[str, str]]:
        """Further headers of the handshake; `Host`, `Upgrade`, `Connection` and `Sec-WebSocket-*` are the tool's."""

    def opening(self, i: int, room: str | None) -> list[Step]:
        """What is said after the handshake until the connection is there and, unless `room` is None, a member of it.

        The steps are done in order; the connection counts as open, and its time to connect ends, when the last is.
        """

    def message(self, i: int, room: str, content: str, id: str | None) -> str:
        """The text frame by which connection `i` sends `content` to `room`; with `id`, so that it is answered.

        Called once for each connection that sends. `content` begins with the tag and is `Workload.text` bytes of ASCII
        letters and digits, which need no escaping in JSON. `id` is None except in the workload `request`, where it is
        the tag alone, and `room` is a name that was not joined.

        In what is returned **the tag is replaced for every message**, wherever it stands, by one of equal length: the
        frame must hold it unchanged at least once, and nothing in it may be computed from it (no checksum, no base64).
        What the server delivers must contain the tag unchanged too; a request's reply has it from `content` or `id`.
        """

    def answer(self, payload: bytes) -> str | None:
        """The text frame by which this one is answered at once, a heartbeat say; None for all others.

        Asked for every text frame that is no delivery, also while the connection opens. Pings of WebSocket's own are
        answered by the tool.
        """

    def refusal(self, payload: bytes) -> str | None:
        """Where this frame says that the server refused something: what it says, in one line, without secrets.

        It ends the run. None for all other frames. Asked for every text frame that is no delivery, also while the
        connection opens.
        """
