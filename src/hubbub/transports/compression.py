"""What is agreed to when a client offers permessage-deflate, RFC 7692: no context takeover, a window of at most 4 KiB.

So one compressed frame serves all recipients with the same window, and an idle connection keeps none.
"""

from typing import Any

from websockets.exceptions import NegotiationError
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

_WINDOW = 12
_SMALLEST_WINDOW = 9


class Compression(ServerPerMessageDeflateFactory):
    def __init__(self) -> None:
        super().__init__(
            server_no_context_takeover=True,
            client_no_context_takeover=True,
            server_max_window_bits=_WINDOW,
            client_max_window_bits=_WINDOW,
            compress_settings={"memLevel": 5},
        )

    def process_request_params(self, params: Any, accepted_extensions: Any) -> Any:
        """Raises NegotiationError, which declines the offer: for a window of 8 bits, too.

        zlib cannot write in it, and the first message to a room would fail for all who are in it.
        """
        agreed, extension = super().process_request_params(params, accepted_extensions)
        if extension.local_max_window_bits < _SMALLEST_WINDOW:
            raise NegotiationError("a window of 8 bits is not supported")
        return agreed, extension
