"""What time does to a connection."""

from hubbub import closes
from hubbub.options import Heartbeat
from hubbub.state.heartbeat import Beat, Pulse
from hubbub.vigil import Vigil


def test_a_first_message_is_due_until_it_has_come() -> None:
    vigil = Vigil()
    vigil.authenticate_by(5.0)
    assert vigil.due == 5.0
    assert vigil.tick(4.9) is Beat.NOTHING
    assert vigil.tick(5.0) is closes.CREDENTIAL_LATE
    vigil.authenticate_by(None)
    assert vigil.due is None
    assert vigil.tick(1000.0) is Beat.NOTHING


def test_letting_somebody_in_takes_so_long_at_most() -> None:
    vigil = Vigil()
    vigil.admit_by(5.0)
    assert vigil.due == 5.0
    assert vigil.tick(4.9) is Beat.NOTHING
    assert vigil.tick(5.0) is closes.OVERLOADED
    vigil.admit_by(None)
    assert vigil.due is None
    assert vigil.tick(1000.0) is Beat.NOTHING


def test_a_credential_ends_and_may_be_renewed() -> None:
    vigil = Vigil()
    assert vigil.due is None
    vigil.expires_at(10.0)
    assert vigil.due == 10.0
    assert vigil.tick(9.9) is Beat.NOTHING
    assert vigil.tick(10.0) is closes.CREDENTIAL_EXPIRED
    vigil.expires_at(20.0)
    assert vigil.tick(10.0) is Beat.NOTHING
    vigil.expires_at(None)
    assert vigil.tick(1000.0) is Beat.NOTHING


def test_nobody_is_pinged_before_it_is_watched() -> None:
    vigil = Vigil()
    vigil.heard = True
    assert vigil.tick(1000.0) is Beat.NOTHING
    vigil.watch(Pulse(Heartbeat(interval=10, timeout=4), 1000.0))
    assert vigil.due == 1010.0
    assert vigil.tick(1010.0) is Beat.PING
    assert vigil.due == 1014.0
    vigil.heard = True
    assert vigil.tick(1014.0) is Beat.NOTHING
    assert vigil.due == 1020.0
    assert vigil.tick(1020.0) is Beat.PING
    assert vigil.tick(1024.0) is closes.NO_HEARTBEAT


def test_the_earliest_is_due() -> None:
    vigil = Vigil()
    vigil.watch(Pulse(Heartbeat(interval=10, timeout=4), 0.0))
    vigil.expires_at(7.0)
    assert vigil.due == 7.0
    vigil.expires_at(70.0)
    assert vigil.due == 10.0
