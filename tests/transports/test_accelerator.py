"""Both implementations, on real sockets. Where C is not built its tests are skipped, which in CI is a failure."""

import errno
import os
import socket
import sys
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from hubbub.transports import accelerator
from hubbub.transports.accelerator import SendAll, SendEach, Unsent
from tests.kit.waiting import wait_for
from tests.transports.pairs import Pair, descriptors, fill, nothing_came, over_tcp, received

pytestmark = pytest.mark.skipif(not accelerator.DIRECT, reason="sockets are no descriptors here")

FRAME = bytes(range(200))
Pairs = Callable[[int], list[Pair]]


@dataclass(frozen=True)
class Implementation:
    send_all: SendAll
    send_each: SendEach


def load(name: str) -> Implementation:
    if name == "Python":
        return Implementation(accelerator.python_send_all, accelerator.python_send_each)
    c = pytest.importorskip("hubbub._accelerator", reason="the accelerator was not built: is there a C compiler?")
    return Implementation(c.send_all, c.send_each)


@pytest.fixture(params=["C", "Python"])
def implementation(request: pytest.FixtureRequest) -> Implementation:
    return load(request.param)


@pytest.fixture
def c() -> Implementation:
    return load("C")


@pytest.fixture(params=["all", "each"])
def send(request: pytest.FixtureRequest, implementation: Implementation) -> SendAll:
    """The same data to all, by either function."""
    if request.param == "all":
        return implementation.send_all
    return lambda fds, data: implementation.send_each(fds, [data] * len(fds))


@pytest.fixture(params=["unix", "tcp"])
def pairs(request: pytest.FixtureRequest) -> Iterator[Pairs]:
    """Makes connected sockets, the first of each pair non-blocking like those of an event loop."""
    with ExitStack() as stack:

        def make(count: int) -> list[Pair]:
            made = [socket.socketpair() if request.param == "unix" else over_tcp() for _ in range(count)]
            for here, there in made:
                stack.enter_context(here)
                stack.enter_context(there)
                here.setblocking(False)
                there.settimeout(10)
            return made

        yield make


def test_everyone_gets_it_and_nothing_is_told(send: SendAll, pairs: Pairs) -> None:
    some = pairs(50)
    assert send(descriptors(some), FRAME) == []
    assert [received(there, len(FRAME)) for _, there in some] == [FRAME] * 50


@pytest.mark.parametrize("kind", [list, tuple, lambda fds: array("i", fds)])
def test_descriptors_may_be_any_sequence(
    send: SendAll, pairs: Pairs, kind: Callable[[list[int]], Sequence[int]]
) -> None:
    some = pairs(3)
    assert send(kind([*descriptors(some), -1]), FRAME) == [(3, -errno.EBADF)]
    assert [received(there, len(FRAME)) for _, there in some] == [FRAME] * 3


def test_nobody_and_nothing(send: SendAll, pairs: Pairs) -> None:
    [(here, there)] = pairs(1)
    assert send([], FRAME) == []
    assert send([], b"") == []
    assert send([here.fileno(), -1], b"") == []
    assert nothing_came(there)


def test_one_descriptor_twice_gets_it_twice_in_order(implementation: Implementation, pairs: Pairs) -> None:
    [(here, there)] = pairs(1)
    fd = here.fileno()
    assert implementation.send_all([fd, fd], b"ab") == []
    assert implementation.send_each([fd] * 3, [b"c", b"", b"d"]) == []
    assert received(there, 6) == b"ababcd"


def test_each_gets_its_own(implementation: Implementation, pairs: Pairs) -> None:
    some = pairs(20)
    datas = [b"%02d" % number * 50 for number in range(20)]
    assert implementation.send_each(descriptors(some), datas) == []
    assert [received(there, 100) for _, there in some] == datas


def test_a_full_socket_is_told_and_hinders_nobody(send: SendAll, pairs: Pairs) -> None:
    first, full, last = pairs(3)
    fill(full[0].fileno())
    assert send(descriptors([first, full, last]), FRAME) == [(1, 0)]
    assert received(first[1], len(FRAME)) == received(last[1], len(FRAME)) == FRAME


def test_what_was_taken_of_huge_data_is_exact(send: SendAll, pairs: Pairs) -> None:
    some = pairs(2)
    huge = os.urandom(32 * 1024 * 1024)
    unsent = send(descriptors(some), huge)
    assert [index for index, _ in unsent] == [0, 1]
    for (_, taken), (here, there) in zip(unsent, some, strict=True):
        assert 0 < taken < len(huge)
        here.shutdown(socket.SHUT_WR)
        assert received(there, taken) == huge[:taken]
        assert there.recv(1) == b""


def test_a_peer_that_is_gone_is_an_error_and_no_signal(send: SendAll, pairs: Pairs) -> None:
    first, gone, last = pairs(3)
    gone[1].close()
    unsent: Unsent = []
    deadline = time.monotonic() + 10
    # Over TCP the first bytes are taken, and answered by a reset.
    while not unsent and time.monotonic() < deadline:
        unsent = send(descriptors([gone]), FRAME)
    assert unsent in ([(0, -errno.EPIPE)], [(0, -errno.ECONNRESET)])
    assert send(descriptors([first, gone, last]), FRAME) == [(1, -errno.EPIPE)]
    assert received(first[1], len(FRAME)) == received(last[1], len(FRAME)) == FRAME


def test_a_closed_descriptor(send: SendAll, pairs: Pairs) -> None:
    some = pairs(3)
    fds = descriptors(some)
    some[1][0].close()
    assert send(fds, FRAME) == [(1, -errno.EBADF)]
    assert received(some[2][1], len(FRAME)) == FRAME


def test_every_kind_of_failure_in_the_order_of_the_index(send: SendAll, pairs: Pairs) -> None:
    some = pairs(6)
    fds = descriptors(some)
    some[0][0].close()
    fill(some[2][0].fileno())
    some[3][0].shutdown(socket.SHUT_WR)
    assert send([*fds, -7], FRAME) == [(0, -errno.EBADF), (2, 0), (3, -errno.EPIPE), (6, -errno.EBADF)]


def test_fifteen_thousand_failures(send: SendAll) -> None:
    assert send([-1] * 15_000, FRAME) == [(index, -errno.EBADF) for index in range(15_000)]


def test_what_was_taken_is_compared_with_its_own_length(implementation: Implementation, pairs: Pairs) -> None:
    a, b, c = pairs(3)
    fill(b[0].fileno())
    datas = [b"", b"x" * 7, b"y" * 5]
    assert implementation.send_each(descriptors([a, b, c]), datas) == [(1, 0)]
    assert received(c[1], 5) == b"y" * 5


@pytest.mark.parametrize(
    ("fd", "refusal"),
    [("3", TypeError), (None, TypeError), (3.0, TypeError), (2**31, OverflowError), (2**80, OverflowError)],
)
def test_no_descriptor_is_refused_before_anything_is_sent(
    send: SendAll, pairs: Pairs, fd: int, refusal: type[Exception]
) -> None:
    [(here, there)] = pairs(1)
    with pytest.raises(refusal):
        send([here.fileno(), fd], FRAME)
    assert nothing_came(there)


@pytest.mark.parametrize("data", ["text", bytearray(b"x"), memoryview(b"x"), None, 1])
def test_data_is_bytes_or_refused_before_anything_is_sent(
    implementation: Implementation, pairs: Pairs, data: bytes
) -> None:
    [(here, there)] = pairs(1)
    fd = here.fileno()
    with pytest.raises(TypeError):
        implementation.send_all([fd], data)
    with pytest.raises(TypeError):
        implementation.send_each([fd, fd], [b"x", data])
    assert nothing_came(there)


def test_each_needs_as_many_datas_as_descriptors(implementation: Implementation, pairs: Pairs) -> None:
    [(here, there)] = pairs(1)
    for datas in ([], [b"x"] * 2):
        with pytest.raises(ValueError, match=f"^1 descriptors, but {len(datas)} datas$"):
            implementation.send_each([here.fileno()], datas)
    assert nothing_came(there)


@pytest.mark.parametrize("arguments", [(), ([],), ([], b"", b"")])
def test_two_arguments(implementation: Implementation, arguments: tuple[object, ...]) -> None:
    for function in (implementation.send_all, implementation.send_each):
        with pytest.raises(TypeError):
            function(*arguments)  # type: ignore[arg-type]


def test_what_is_given_is_let_go_again(send: SendAll, pairs: Pairs) -> None:
    some = pairs(2)
    fds, data = [*descriptors(some), 2**30], b"x" * 1000
    counts = [sys.getrefcount(each) for each in (fds, data, fds[2])]
    for _ in range(10):
        assert send(fds, data) == [(2, -errno.EBADF)]
        with pytest.raises(TypeError):
            send([*fds, "no"], data)  # type: ignore[list-item]
        with pytest.raises(TypeError):
            send(fds, "no")  # type: ignore[arg-type]
    assert [sys.getrefcount(each) for each in (fds, data, fds[2])] == counts


def test_c_does_not_write_to_what_is_no_socket(c: Implementation) -> None:
    read, write = os.pipe()
    try:
        assert c.send_all([write], FRAME) == [(0, -errno.ENOTSOCK)]
        assert c.send_each([write], [FRAME]) == [(0, -errno.ENOTSOCK)]
    finally:
        os.close(read)
        os.close(write)


def test_c_does_not_wait_for_a_blocking_socket(c: Implementation, pairs: Pairs) -> None:
    [(here, _)] = pairs(1)
    fill(here.fileno())
    here.setblocking(True)
    assert c.send_all([here.fileno()], FRAME) == [(0, 0)]


def test_other_threads_run_meanwhile(c: Implementation, pairs: Pairs) -> None:
    """A thread that wakes every millisecond does so several times within one call that takes a tenth of a second."""
    [(here, _)] = pairs(1)
    fill(here.fileno())
    fds = [here.fileno()] * 300_000
    ticks: list[float] = []
    end = threading.Event()

    def tick() -> None:
        while not end.wait(0.001):
            ticks.append(time.monotonic())

    def during_one_call() -> int:
        begun = time.monotonic()
        c.send_all(fds, FRAME)
        taken = time.monotonic() - begun
        # Around a call that kept the GIL there would be ticks too, at its ends.
        return sum(0.25 * taken < at - begun < 0.75 * taken for at in ticks)

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        # A busy machine may keep the thread from running for the whole of one call, but not of all.
        wait_for(lambda: during_one_call() > 3, within=20, what="four ticks in the midst of a call")
    finally:
        end.set()
        thread.join()
