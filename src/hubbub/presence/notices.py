"""What others are told where the broker finds that somebody came, went, or shows something else.

Made beforehand, because the broker decides and announces in one step. It alone knows what the next newest tab shows,
so of a change it is given what stands before and after that.
"""

from collections.abc import Callable
from typing import Literal

from hubbub.options import RoomOptions
from hubbub.ports.broker import Announcement, Change
from hubbub.presence.showing import Showing
from hubbub.protocol import messages
from hubbub.protocol.envelope import Envelope, Kind
from hubbub.protocol.presence import around, of_each
from hubbub.types import EVERYONE, ONLINE, RoomName, Topic, room_of


class Notices:
    """`options_of` says how a room's members are told."""

    def __init__(
        self, options_of: Callable[[RoomName], RoomOptions], showing: Showing, *, announce_users: bool
    ) -> None:
        self._options_of = options_of
        self._showing = showing
        self._announce_users = announce_users

    def shows(self, topic: Topic) -> bool:
        """Whether it is a room with presence data."""
        room = room_of(topic)
        return room is not None and self._options_of(room).presence_data

    def announcement(self, topic: Topic, member: str, *, present: bool) -> Announcement | None:
        """That `member` came or went; None where nobody is told."""
        kind: Literal["user_joined_room", "user_left_room", "user_connected", "user_disconnected"]
        others = frozenset({member})
        room = room_of(topic)
        options = None if room is None else self._options_of(room)
        if options is not None and options.diff:
            # Also that it shows nothing: it may have been there before, within what is collected.
            shown = self._shown(topic, member) if options.presence_data and present else None
            change = Kind.CAME if present else Kind.WENT
            return Announcement(topic, Envelope(change, member.encode(), without_users=others, presence=shown).encode())
        if options is not None:
            kind, where = "user_joined_room" if present else "user_left_room", topic
        elif topic == ONLINE and self._announce_users:
            kind, where = "user_connected" if present else "user_disconnected", EVERYONE
        else:
            return None
        shown = self._shown(topic, member) if present and self._showing.newest((topic, member)) else None
        notice = messages.notice(kind, member, room)
        return Announcement(where, Envelope(Kind.NOTICE, notice, without_users=others, presence=shown).encode())

    def change(self, topic: Topic, member: str) -> Change | None:
        """That `member` shows something else; None where nobody is told."""
        room = room_of(topic)
        options = None if room is None else self._options_of(room)
        if options is None or not options.presence_data:
            return None
        before, after = around(member)
        if options.diff:
            return Change(topic, Envelope(Kind.CHANGED, before).encode(), after)
        notice = messages.prepare("user_presence", room=room, user=member).data
        return Change(topic, Envelope(Kind.SHOWN, b'%b,"presence":%b' % (notice[:-1], before)).encode(), after + b"}")

    def _shown(self, topic: Topic, member: str) -> bytes:
        entry = self._showing.newest((topic, member))
        return of_each({member: entry.data if entry is not None else b""})
