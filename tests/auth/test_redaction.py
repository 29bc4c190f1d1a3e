import logging
import logging.config
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn.config
from hypothesis import given
from hypothesis import strategies as st

import hubbub.hub.hub  # noqa: F401 - with all that logs
from hubbub.auth.redaction import (
    UVICORN_LOGGERS,
    RedactCredentials,
    harmless,
    install,
    quotes,
    redact,
    secrets_of,
    without,
)
from hubbub.protocol.concern import concern
from hubbub.protocol.handshake import Handshake


def test_a_strangers_text_is_one_line_and_not_a_long_one() -> None:
    assert harmless("a\r\nINFO: forged \x1b[2J\u2028\ud800 é 李") == "a\\r\\nINFO: forged \\x1b[2J\\u2028\\ud800 é 李"
    assert harmless("x" * 201) == "x" * 200 + "…"


@pytest.mark.parametrize(
    "text", ["no key eyJhbGciOi.eyJzdWIi.c2lnbmF0dXJl", "of eyJhbGciOi", "<c2lnbmF0dXJl>", "no eyJzdWIi"]
)
def test_a_text_that_quotes_the_secret_is_known(text: str) -> None:
    assert quotes(text, "eyJhbGciOi.eyJzdWIi.c2lnbmF0dXJl")


def test_a_short_secret_is_known_where_it_stands_alone() -> None:
    assert quotes("no key s3", "s3")
    assert not quotes("these are no keys", "s")
    assert not quotes("the token is malformed", "")


@pytest.mark.parametrize(
    ("line", "clean"),
    [
        (
            '127.0.0.1:5 - "WebSocket /ws?token=abc" [accepted]',
            '127.0.0.1:5 - "WebSocket /ws?token=REDACTED" [accepted]',
        ),
        ('"GET /a?token=abc&b=c HTTP/1.1" 200', '"GET /a?token=REDACTED&b=c HTTP/1.1" 200'),
        ("/a?b=c&token=abc", "/a?b=c&token=REDACTED"),
        ("/a?token=a&token=b", "/a?token=REDACTED&token=REDACTED"),
        ("/a?TOKEN=abc", "/a?TOKEN=REDACTED"),
        ("/a?access_token=abc", "/a?access_token=REDACTED"),
        ("/a?%74%4F%6b%65%6E=abc", "/a?%74%4F%6b%65%6E=REDACTED"),
        ("/a?token=a'b\"c,d}e)f;g#h", "/a?token=REDACTED"),
        ("/a?token=", "/a?token=REDACTED"),
        ("{'query_string': b'token=abc', 'x': 1}", "{'query_string': b'token=REDACTED', 'x': 1}"),
        ("{'query_string': b'token=abc'}", "{'query_string': b'token=REDACTED'}"),
        (
            "< Sec-WebSocket-Protocol: hubbub.bearer.abc, hubbub.v1",
            "< Sec-WebSocket-Protocol: hubbub.bearer.REDACTED, hubbub.v1",
        ),
        (
            "< Sec-WebSocket-Protocol: hubbub.bearer.abc,hubbub.v1",
            "< Sec-WebSocket-Protocol: hubbub.bearer.REDACTED,hubbub.v1",
        ),
        ("['hubbub.v1', 'hubbub.bearer.a'b']", "['hubbub.v1', 'hubbub.bearer.REDACTED']"),
        ('hubbub.bearer.a"b]c, hubbub.v1', "hubbub.bearer.REDACTED, hubbub.v1"),
        ("Headers({'cookie': 'a=b', 'x': '1'})", "Headers({'cookie': 'REDACTED', 'x': '1'})"),
        ("[(b'authorization', b'Bearer abc'), (b'x', b'1')]", "[(b'authorization', b'REDACTED'), (b'x', b'1')]"),
        ("{'Set-Cookie': \"a='b'; Path=/\"}", "{'Set-Cookie': \"REDACTED\"}"),
        ("no way with Authorization: Digest abc", "no way with Authorization: REDACTED"),
        ("the header Cookie: a=b; c=d", "the header Cookie: REDACTED"),
        ("sent Bearer abcd.e-f_g to it", "sent Bearer REDACTED to it"),
        ("no key eyJhbGciOi.eyJzdWIi.c2lnbmF0dXJl here", "no key REDACTED here"),
        ("redis://:pw@host:1/0 and amqp://me:pw@host", "redis://:REDACTED@host:1/0 and amqp://me:REDACTED@host"),
        ("/a?api_key=abc&Password=def", "/a?api_key=REDACTED&Password=REDACTED"),
        ("< Cookie: a=b; c=d", "< Cookie: REDACTED"),
        ("> set-cookie: a=b; Path=/", "> set-cookie: REDACTED"),
        ("< AUTHORIZATION: Basic abc", "< AUTHORIZATION: REDACTED"),
        ("< proxy-authorization: Basic abc", "< proxy-authorization: REDACTED"),
        ("< TEXT '{\"a\": 1}' [8 bytes]", "< TEXT REDACTED [8 bytes]"),
        ("> TEXT 'a [1 byte] b' [text, 5 bytes]", "> TEXT REDACTED [text, 5 bytes]"),
        ("< CONT 'abc' [text, 3 bytes, continued]", "< CONT REDACTED [text, 3 bytes, continued]"),
        ("< BINARY 61 62 63 [3 bytes]", "< BINARY REDACTED [3 bytes]"),
    ],
)
def test_lines(line: str, clean: str) -> None:
    assert redact(line) == clean
    assert redact(clean) == clean


@pytest.mark.parametrize(
    "line",
    [
        '127.0.0.1:5 - "WebSocket /ws" [accepted]',
        '127.0.0.1:5 - "GET /a?b=c&tokens=3 HTTP/1.1" 200',
        "Application startup complete.",
        "the token of alice expired",
        "< Host: app.example",
        "< Cookie-Consent: yes",
        "a credential was refused (expired) at a handshake of 10.0.0.1, by cookie: the token has expired",
        "two authenticators read the cookie 'session'",
        "http://host:80/a@b and mailto:x@y",
        "> Sec-WebSocket-Protocol: hubbub.v1",
        "< PING 'abc' [3 bytes]",
        "> CLOSE 4001 (private use) credential invalid [20 bytes]",
        "< EOF",
    ],
)
def test_other_lines_stay_as_they_are(line: str) -> None:
    assert redact(line) == line


@given(st.from_regex(r"[^&\s\"',\]})]{1,20}[!-%'-~]{0,20}[A-Za-z0-9]", fullmatch=True))
def test_no_value_gets_through(value: str) -> None:
    for line in (f'"GET /a?token={value} HTTP/1.1" 200', f"/a?token={value}", f"/a?x=1&token={value}&y=2"):
        assert redact(line) == line.replace(f"token={value}", "token=REDACTED")


@pytest.mark.parametrize("filler", ["}", "'", ",", '"}', "a", "token=", "%", "hubbub.bearer.", "="])
def test_a_long_line_costs_no_more_than_its_length(filler: str) -> None:
    def cost(size: int) -> float:
        line = "< /a?token=hubbub.bearer." + (filler * size)[:size] + "\x00"
        best = float("inf")
        for _ in range(5):
            start = time.thread_time()
            redact(line)
            best = min(best, time.thread_time() - start)
        return best

    # Squared, it would be 256 times as much.
    assert cost(64_000) < 64 * max(cost(4_000), 1e-4)


@contextmanager
def recorded(name: str) -> Iterator[list[logging.LogRecord]]:
    """A logger's records, as a handler gets them that stands above it."""
    records: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    logger, parent, handler = logging.getLogger(name), logging.getLogger(name.rpartition(".")[0]), Keep()
    level, filters = logger.level, list(logger.filters)
    logger.setLevel(1)
    parent.addHandler(handler)
    try:
        yield records
    finally:
        parent.removeHandler(handler)
        logger.setLevel(level)
        logger.filters[:] = filters


def test_a_record_without_a_secret_is_not_touched() -> None:
    with recorded("hubbub-test.error") as records:
        install(["hubbub-test.error"])
        logging.getLogger("hubbub-test.error").info("%s and %d", "one", 2)
    assert (records[0].msg, records[0].args) == ("%s and %d", ("one", 2))


def test_arguments_stay_arguments_for_the_access_formatter() -> None:
    with recorded("hubbub-test.access") as records:
        install(["hubbub-test.access"])
        logging.getLogger("hubbub-test.access").info(
            '%s - "%s %s HTTP/%s" %d', "127.0.0.1:5", "GET", "/a?token=abc", "1.1", 200
        )
    assert records[0].args == ("127.0.0.1:5", "GET", "/a?token=REDACTED", "1.1", 200)


@pytest.mark.parametrize("arguments", [("cookie", "session=abc"), ({"Cookie": "x"}, "/?token=abc")])
def test_a_secret_that_only_the_whole_line_shows(arguments: tuple[Any, ...]) -> None:
    with recorded("hubbub-test.error") as records:
        install(["hubbub-test.error"])
        logging.getLogger("hubbub-test.error").debug("< %s: %s", *arguments)
        logging.getLogger("hubbub-test.error").debug("%(path)s", {"path": "/?token=abc"})
        logging.getLogger("hubbub-test.error").debug("100% of /?token=abc")
    assert not any("abc" in record.getMessage() for record in records)
    assert records[2].getMessage() == "100% of /?token=REDACTED"


def test_an_exception_is_told_without_it() -> None:
    with recorded("hubbub-test.error") as records:
        install(["hubbub-test.error"])
        for text in ("/a?token=abc", "harmless"):
            try:
                raise ValueError(text)
            except ValueError:
                logging.getLogger("hubbub-test.error").exception("failed")
    told = [logging.Formatter().format(record) for record in records]
    assert "Traceback" in told[0]
    assert told[0].endswith("ValueError: /a?token=REDACTED")
    assert told[1].endswith("ValueError: harmless")
    assert records[1].exc_info is not None


SCOPE = {
    "headers": [
        (b"cookie", b'sid=5f2d6c1e; lang=en; q="quoted-value"'),
        (b"Authorization", b"Custom abcdefgh"),
        (b"sec-websocket-protocol", b"hubbub.v1, hubbub.bearer.opaque-one"),
    ],
    "query_string": b"access_token=a%20b%20c%20d&room=general",
}


def test_what_a_handshake_presents_is_known_in_each_form() -> None:
    quoted = "5f2d6c1e quoted-value Custom abcdefgh opaque-one a%20b%20c%20d 'a b c d' general en lang=en sentence"
    hidden = "REDACTED REDACTED REDACTED REDACTED REDACTED 'REDACTED' general en lang=en sentence"
    assert without(quoted, secrets_of(SCOPE)) == hidden
    assert without("hot shot word", {"shot"}) == "hot REDACTED word"
    assert without("hotshots word", {"shot", "wor"}) == "hotshots word"


def test_an_exception_that_concerns_a_connection_is_told_without_what_that_presented() -> None:
    class Slotted(BaseException):
        __slots__ = ()
        __setattr__ = None  # type: ignore[assignment]

    def failed(with_: str) -> BaseException:
        inner = KeyError(f"no session {with_}")
        inner.add_note(f"asked for {with_}")
        concern(inner, Handshake(SCOPE))
        outer = ValueError("outer")
        outer.__cause__ = inner
        inner.__context__ = outer
        return ExceptionGroup("several", [outer, RuntimeError(with_)])

    concern(Slotted(), Handshake(SCOPE))
    with recorded("hubbub-test.error") as records:
        install(["hubbub-test.error"])
        log = logging.getLogger("hubbub-test.error")
        log.error("of %s", "5f2d6c1e", exc_info=failed("5f2d6c1e"), stack_info=True)
        log.error("of %s", "5f2d6c1e", exc_info=KeyError("5f2d6c1e"))
    told = [logging.Formatter().format(record) for record in records]
    assert "5f2d6c1e" not in told[0]
    assert told[0].count("REDACTED") >= 4
    assert told[1].count("5f2d6c1e") == 2


def test_every_logger_of_the_hub_has_the_filter() -> None:
    with recorded("hubbub-test.error"):
        filters = {name: list(logging.getLogger(name).filters) for name in logging.root.manager.loggerDict}
        try:
            install()
            named = {name for name in logging.root.manager.loggerDict if name.startswith("hubbub.")}
            assert {"hubbub.dispatch", "hubbub.spawned", "hubbub.lifecycle", "hubbub.requests"} < named
            for name in (*named, "asyncio"):
                assert [type(each) for each in logging.getLogger(name).filters].count(RedactCredentials) == 1
        finally:
            for name, before in filters.items():
                logging.getLogger(name).filters[:] = before


def test_installing_twice_is_installing_once() -> None:
    with recorded("hubbub-test.error"):
        for _ in range(2):
            install(["hubbub-test.error"])
        assert [type(each) for each in logging.getLogger("hubbub-test.error").filters] == [RedactCredentials]


def test_it_stays_through_the_servers_own_set_up() -> None:
    names = ["uvicorn.error", "uvicorn.access", "uvicorn.asgi"]
    assert set(names) < set(UVICORN_LOGGERS)
    states = {name: (logging.getLogger(name), list(logging.getLogger(name).filters)) for name in names}
    uvicorn_state = {
        name: (logger.handlers[:], logger.propagate, logger.level)
        for name in ["uvicorn", *names]
        for logger in [logging.getLogger(name)]
    }
    try:
        install()
        logging.config.dictConfig(uvicorn.config.LOGGING_CONFIG)
        for logger, _ in states.values():
            assert [type(each) for each in logger.filters].count(RedactCredentials) == 1
    finally:
        for logger, filters in states.values():
            logger.filters[:] = filters
        for name, (handlers, propagate, level) in uvicorn_state.items():
            logger = logging.getLogger(name)
            logger.handlers[:], logger.propagate = handlers, propagate
            logger.setLevel(level)


def _record(error: BaseException | None, text: str = "failed", *args: object) -> logging.LogRecord:
    told = None if error is None else (type(error), error, error.__traceback__)
    return logging.LogRecord("hubbub.dispatch", logging.ERROR, "/app/main.py", 7, text, args, told)


def _raised(error: Exception, scope: dict[str, Any]) -> Exception:
    try:
        raise error
    except ValueError as raised:
        concern(raised, Handshake(scope))
        return raised


def test_a_line_that_cannot_be_made_raises_nothing_and_shows_nothing() -> None:
    record = _record(None, "%d of %s", "eyJ", "s3cret")
    assert RedactCredentials().filter(record)
    assert record.getMessage() == "a line of /app/main.py:7 (TypeError) is left out"


@pytest.mark.parametrize("size", [5, 12])
def test_however_many_secrets_a_stranger_presents_a_line_costs_little(size: int) -> None:
    # Within a head of 64 KiB, and quoted one by one.
    values = [f"{number:0{size}x}" for number in range(60_000 // (size + 3))]
    scope = {"type": "websocket", "headers": [(b"cookie", ";".join(f"a={each}" for each in values).encode())]}
    for several in (400, len(values)):
        scope["headers"] = [(b"cookie", ";".join(f"a={each}" for each in values[:several]).encode())]
        record = _record(_raised(ValueError(" ".join(values[:several])), scope))
        began = time.process_time()
        RedactCredentials().filter(record)
        assert time.process_time() - began < 0.25
        shown = logging.Formatter().format(record)
        assert "ValueError" in shown
        assert not any(value in shown.split() for value in values[1:several])


def test_short_secrets_are_hidden_where_they_stand_alone() -> None:
    text = "abcd abcde xabcd abcd_x (abcd)abcdef,abc-d abc-de"
    hidden = "REDACTED REDACTED xabcd REDACTED_x (REDACTED)abcdef,REDACTED abc-de"
    assert without(text, {"abcd", "abcde", "abc-d"}) == hidden
