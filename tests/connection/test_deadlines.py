"""What time does to a connection."""

from hubbub import closes
from hubbub.connection.deadlines import Deadlines, Expiring
from hubbub.connection.heartbeat import Beat, Pulse
from hubbub.options import Heartbeat


def test_a_first_message_is_due_until_it_has_come() -> None:
    deadlines = Deadlines()
    deadlines.authenticate_by(5.0)
    assert deadlines.due == 5.0
    assert deadlines.tick(4.9) is Beat.NOTHING
    assert deadlines.tick(5.0) is closes.CREDENTIAL_LATE
    deadlines.authenticate_by(None)
    assert deadlines.due is None
    assert deadlines.tick(1000.0) is Beat.NOTHING


def test_letting_somebody_in_takes_so_long_at_most() -> None:
    deadlines = Deadlines()
    deadlines.admit_by(5.0)
    assert deadlines.due == 5.0
    assert deadlines.tick(4.9) is Beat.NOTHING
    assert deadlines.tick(5.0) is closes.OVERLOADED
    deadlines.admit_by(None)
    assert deadlines.due is None
    assert deadlines.tick(1000.0) is Beat.NOTHING


def test_a_credential_ends_and_may_be_renewed() -> None:
    deadlines = Deadlines()
    assert deadlines.due is None
    deadlines.expires_at(10.0)
    assert deadlines.due == 10.0
    assert deadlines.tick(9.9) is Beat.NOTHING
    assert deadlines.tick(10.0) is closes.CREDENTIAL_EXPIRED
    deadlines.expires_at(20.0)
    assert deadlines.tick(10.0) is Beat.NOTHING
    deadlines.expires_at(None)
    assert deadlines.tick(1000.0) is Beat.NOTHING


def test_who_asked_for_it_is_told_before_a_credential_ends() -> None:
    deadlines = Deadlines()
    deadlines.expires_at(100.0, told=True)
    assert deadlines.due == 40.0
    assert deadlines.tick(39.9) is Beat.NOTHING
    assert deadlines.tick(41.0) == Expiring(59.0)
    assert deadlines.due == 100.0
    assert deadlines.tick(42.0) is Beat.NOTHING
    deadlines.expires_at(200.0, told=True)
    assert deadlines.due == 140.0
    deadlines.expires_at(60.0, told=True)
    assert deadlines.tick(42.0) == Expiring(18.0)
    assert deadlines.tick(60.0) is closes.CREDENTIAL_EXPIRED
    deadlines.expires_at(None, told=True)
    assert deadlines.due is None
    assert deadlines.tick(1000.0) is Beat.NOTHING


def test_nobody_is_pinged_before_it_is_watched() -> None:
    deadlines = Deadlines()
    deadlines.heard = True
    assert deadlines.tick(1000.0) is Beat.NOTHING
    deadlines.watch(Pulse(Heartbeat(interval=10, timeout=4), 1000.0))
    assert deadlines.due == 1010.0
    assert deadlines.tick(1010.0) is Beat.PING
    assert deadlines.due == 1014.0
    deadlines.heard = True
    assert deadlines.tick(1014.0) is Beat.NOTHING
    assert deadlines.due == 1020.0
    assert deadlines.tick(1020.0) is Beat.PING
    assert deadlines.tick(1024.0) is closes.NO_HEARTBEAT


def test_the_earliest_is_due() -> None:
    deadlines = Deadlines()
    deadlines.watch(Pulse(Heartbeat(interval=10, timeout=4), 0.0))
    deadlines.expires_at(7.0)
    assert deadlines.due == 7.0
    deadlines.expires_at(70.0)
    assert deadlines.due == 10.0
