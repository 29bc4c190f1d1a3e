"""Keeps credentials and message bodies out of the server's log.

uvicorn logs the query string of every WebSocket on `uvicorn.error` at INFO, whatever is done about the access log; at
DEBUG websockets writes each header and frame to the same logger, and at TRACE the scope goes to `uvicorn.asgi`. The
filter sits on those loggers, not on handlers: there it runs once, before every handler, also one that is set up later.
Turning the access log off lost: it does not stop the lines above, and it takes the useful ones away.
"""

import logging
import re
from collections.abc import Iterable

#: Where uvicorn and its WebSocket implementations log.
UVICORN_LOGGERS = ("uvicorn.error", "uvicorn.access", "uvicorn.asgi", "websockets.server")

# Ends in a letter, so that what was redacted once stays as it is: `_rewrite` redacts parts, then looks at the whole.
_HIDDEN = "REDACTED"

# Characters of a secret from which on a part of it is not shown; less is in any sentence.
_OF_USE = 8

# `token`, also with letters percent-encoded, because the query is decoded before it is read; and any longer name that
# ends in it. The value ends at `&`, at white space and at the end; a quote or bracket that closes it there is not part
# of it. What cannot close it is taken at once, the rest step by step with a bounded look ahead: no line costs more than
# its length.
_QUERY = re.compile(
    r"((?:t|%[57]4)(?:o|%[46]f)(?:k|%[46]b)(?:e|%[46]5)(?:n|%[46]e)=)"
    r"[^&\s\"',\]})]*[^&\s]*?(?=[\"']?[,\]})]{0,4}(?:[&\s]|$))",
    re.IGNORECASE,
)
_BEARER = re.compile(r"(hubbub\.bearer\.)[^,\s\"'\]})]*[^,\s]*?(?=[\"']?[\]})]{0,2}(?:[,\s]|$))")
_HEADER = re.compile(r"^([<>] (?:cookie|set-cookie|authorization|proxy-authorization): ).*", re.IGNORECASE | re.DOTALL)
# The first message carries a token, and no message's body belongs into a log. websockets cuts long bodies in the
# middle, so what is left of a token has no recognisable shape: the whole body goes.
_FRAME = re.compile(r"^([<>] (?:TEXT|BINARY|CONT) ).*( \[[^\]]*\])$", re.DOTALL)


def redact(text: str) -> str:
    """The text without query tokens, bearer subprotocols, secret headers and frame bodies."""
    if "=" in text:
        text = _QUERY.sub(rf"\1{_HIDDEN}", text)
    if "hubbub.bearer." in text:
        text = _BEARER.sub(rf"\1{_HIDDEN}", text)
    if text.startswith(("< ", "> ")):
        text = _FRAME.sub(rf"\1{_HIDDEN}\2", _HEADER.sub(rf"\1{_HIDDEN}", text))
    return text


def harmless(text: str, *, limit: int = 200) -> str:
    """Text of a stranger's as one line of a log: cut, and nothing in it that would end the line or move a cursor."""
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[:limit])
    return shown if len(text) <= limit else f"{shown}…"


def quotes(text: str, secret: str) -> bool:
    """Whether the text has a part of the secret that would be of use to anybody."""
    return any(part in text for part in (secret, *re.split(r"[.\s]", secret)) if len(part) >= _OF_USE) or (
        bool(secret) and secret in text.split()
    )


class RedactCredentials(logging.Filter):
    """Lets every record through, rewritten where it held a credential."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if redact(message) != message:
            _rewrite(record)
        if record.exc_info:
            told = record.exc_text or _formatter.formatException(record.exc_info)
            clean = redact(told)
            if clean != told:
                # Formatters print `exc_text` and do not ask for the exception again.
                record.exc_text, record.exc_info = clean, None
        return True


_formatter = logging.Formatter()


def _rewrite(record: logging.LogRecord) -> None:
    # uvicorn's access formatter takes its five arguments apart, so they stay arguments where that is enough.
    if isinstance(record.args, tuple):
        record.args = tuple(redact(value) if isinstance(value, str) else value for value in record.args)
    message = record.getMessage()
    clean = redact(message)
    if clean != message:
        record.msg, record.args = clean, None


def install(loggers: Iterable[str] = UVICORN_LOGGERS) -> None:
    """Put the filter on the named loggers. Calling it again changes nothing.

    It stays through uvicorn's own logging set-up, before or after. Another server's loggers are named by the caller.
    """
    for name in loggers:
        logger = logging.getLogger(name)
        if not any(isinstance(present, RedactCredentials) for present in logger.filters):
            logger.addFilter(RedactCredentials())
