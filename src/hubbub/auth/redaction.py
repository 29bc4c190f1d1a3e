"""Keeps credentials and message bodies out of the logs of the server and of the hub.

uvicorn logs the query string of every WebSocket on `uvicorn.error` at INFO, whatever is done about the access log; at
DEBUG websockets writes each header and frame to the same logger, and at TRACE the scope goes to `uvicorn.asgi`. The
filter sits on those loggers, not on handlers: there it runs once, before every handler, also one that is set up later.
Turning the access log off lost: it does not stop the lines above, and it takes the useful ones away.

An application's exception may quote anything, and the hub writes its traceback. Two things find what is secret there:
its shape (a JWT, a header, a parameter, a password in a URL), and where the exception has to do with a connection
(`protocol/concern.py`), what that one presented, which may be a word like others.
"""

import logging
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote_plus

from hubbub.auth.carriers import BEARER
from hubbub.errors import described
from hubbub.protocol.concern import concerned

#: Where uvicorn and its WebSocket implementations log.
UVICORN_LOGGERS = ("uvicorn.error", "uvicorn.access", "uvicorn.asgi", "websockets.server")
#: What a task of the application's came to that nobody awaited; and where other servers write a route's traceback.
OTHER_LOGGERS = ("asyncio", "gunicorn.error", "hypercorn.error", "daphne.server", "_granian", "starlette", "fastapi")

# Ends in a letter, so that what was redacted once stays as it is: `_rewrite` redacts parts, then looks at the whole.
_HIDDEN = "REDACTED"

# Characters of a secret from which on a part of it is not shown; less is in any sentence.
_OF_USE = 8
# And from which on it is hidden where it stands alone.
_A_WORD = 4

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
_JWT = re.compile(r"eyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)*")
_SCHEME = re.compile(r"\b(bearer|basic)(\s+|%20)[\w.~+/=-]{4,}", re.IGNORECASE)
# In an object's repr, up to the quote that opened it; or as a line of its own.
_QUOTED = re.compile(
    r"\b((?:proxy-)?authorization|(?:set-)?cookie)([\"']?\s?[:=,]\s?b?)([\"'])(?:(?!\3)[^\\\n]|\\.){1,8192}",
    re.IGNORECASE,
)
_LINE = re.compile(
    r"\b((?:set-)?cookie: ?(?=[^\s\"'=;:]+=)|(?:proxy-)?authorization: ?)[^\s\"'][^\n\"']*", re.IGNORECASE
)
_PASSWORD = re.compile(r"(://[^\s/@:\"']*:)[^\s/@\"']+(?=@)")
#: Secrets of one handshake that are looked for. No browser has so many cookies, and each is looked for by itself.
_MOST = 500
# Where one that stands alone may begin, and what may not stand behind it.
_BEGINNING, _INSIDE = re.compile(r"(?<![^\W_])"), re.compile(r"[^\W_]")
_PARAMETER = re.compile(r"\b((?:password|passwd|secret|api[_-]?key|jwt)=)[^&\s\"',\]})]+", re.IGNORECASE)


def redact(text: str) -> str:
    """The text without tokens, secret parameters and headers, passwords in URLs and frame bodies."""
    if "=" in text:
        text = _PARAMETER.sub(rf"\1{_HIDDEN}", _QUERY.sub(rf"\1{_HIDDEN}", text))
    if "hubbub.bearer." in text:
        text = _BEARER.sub(rf"\1{_HIDDEN}", text)
    if text.startswith(("< ", "> ")):
        text = _FRAME.sub(rf"\1{_HIDDEN}\2", _HEADER.sub(rf"\1{_HIDDEN}", text))
    if "eyJ" in text:
        text = _JWT.sub(_HIDDEN, text)
    if "://" in text:
        text = _PASSWORD.sub(rf"\1{_HIDDEN}", text)
    lowered = text.lower()
    if "authorization" in lowered or "cookie" in lowered:
        text = _LINE.sub(rf"\1{_HIDDEN}", _QUOTED.sub(rf"\1\2\3{_HIDDEN}", text))
    if "bearer" in lowered or "basic" in lowered:
        text = _SCHEME.sub(rf"\1\2{_HIDDEN}", text)
    return text


def without(text: str, secrets: Iterable[str]) -> str:
    """The text without these, which it may quote. A short one only where it stands alone: it may be any word's part."""
    short: set[str] = set()
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _OF_USE:
            text = text.replace(secret, _HIDDEN)
        elif len(secret) >= _A_WORD and secret in text:
            short.add(secret)
    return _without_words(text, short) if short else text


def _without_words(text: str, secrets: Collection[str]) -> str:
    # Not by a pattern for each, which a stranger chooses: to make one takes far longer than to look for it.
    parts: list[str] = []
    lengths = sorted({*map(len, secrets)}, reverse=True)
    done = 0
    for beginning in _BEGINNING.finditer(text):
        at = beginning.start()
        for end in (at + length for length in lengths if at >= done):
            if text[at:end] in secrets and not _INSIDE.match(text, end):
                parts += (text[done:at], _HIDDEN)
                done = end
                break
    return "".join((*parts, text[done:]))


def secrets_of(scope: Mapping[str, Any]) -> set[str]:
    """What a handshake presents that is nobody else's to read, in each form in which it may be quoted."""
    found: set[str] = set()
    for header, value in scope.get("headers") or ():
        text = value.decode("latin-1")
        match header.lower():
            case b"sec-websocket-protocol":
                found.update(each.strip().removeprefix(BEARER) for each in text.split(",") if BEARER in each)
            case b"authorization" | b"proxy-authorization":
                found |= {text, text.partition(" ")[2].strip()}
            case b"cookie":
                found.update(crumb.partition("=")[2].strip().strip('"') for crumb in text.split(";"))
    for field in (scope.get("query_string") or b"").decode("latin-1").split("&"):
        name, _, value = field.partition("=")
        if unquote_plus(name).lower().endswith("token"):
            found |= {value, unquote_plus(value)}
    # A JWT's parts are quoted one by one, by who takes it apart.
    return {part for each in found for part in (each, *each.split(".")) if len(part) >= _A_WORD}


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
    """Lets every record through, rewritten where it held a credential. Raises nothing, whatever is logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        try:
            self._look(record, error)
        except Exception as odd:  # noqa: BLE001 - whoever logs goes on, as it does where a handler cannot write a line
            # What it holds was not looked at, so nothing of it is shown.
            _leave_out(record, error, f"a line of {record.pathname}:{record.lineno} ({type(odd).__qualname__})")
        return True

    def _look(self, record: logging.LogRecord, error: BaseException | None) -> None:
        secrets = {secret for handshake in concerned(error) for secret in secrets_of(handshake.scope())}
        if len(secrets) > _MOST:
            _leave_out(record, error, f"a line about a handshake that presents {len(secrets)} secrets")
            return
        message = record.getMessage()
        if _clean(message, secrets) != message:
            _rewrite(record, secrets)
        if record.exc_info:
            told = record.exc_text or _formatter.formatException(record.exc_info)
            clean = _clean(told, secrets)
            if clean != told:
                # Formatters print `exc_text` and do not ask for the exception again.
                record.exc_text, record.exc_info = clean, None
        if record.stack_info:
            record.stack_info = _clean(record.stack_info, secrets)


def _leave_out(record: logging.LogRecord, error: BaseException | None, what: str) -> None:
    told = "" if error is None else f": {described(error)}"
    record.msg, record.args = f"{what} is left out{told}", None
    record.exc_info = record.exc_text = record.stack_info = None


_formatter = logging.Formatter()


def _clean(text: str, secrets: Iterable[str]) -> str:
    # First what is known, because the rest may cut it.
    return redact(without(text, secrets))


def _rewrite(record: logging.LogRecord, secrets: Iterable[str]) -> None:
    # uvicorn's access formatter takes its five arguments apart, so they stay arguments where that is enough.
    if isinstance(record.args, tuple):
        record.args = tuple(_clean(value, secrets) if isinstance(value, str) else value for value in record.args)
    message = record.getMessage()
    clean = _clean(message, secrets)
    if clean != message:
        record.msg, record.args = clean, None


def _ours() -> Iterator[str]:
    """A filter sees what is written by its own logger only, so each of ours has it. All are made when imported."""
    return (name for name in tuple(logging.root.manager.loggerDict) if name.partition(".")[0] == "hubbub")


def hidden(error: BaseException, text: str) -> str:
    """A text about the exception, as a log may have it, for what is told elsewhere."""
    secrets = {secret for handshake in concerned(error) for secret in secrets_of(handshake.scope())}
    return _clean(text, secrets) if len(secrets) <= _MOST else described(error)


def install(loggers: Iterable[str] = ()) -> None:
    """Put the filter on uvicorn's loggers, the hub's, and those named. Calling it again changes nothing.

    It stays through uvicorn's own logging set-up, before or after.
    """
    for name in (*UVICORN_LOGGERS, *OTHER_LOGGERS, *_ours(), *loggers):
        logger = logging.getLogger(name)
        if not any(isinstance(present, RedactCredentials) for present in logger.filters):
            logger.addFilter(RedactCredentials())
