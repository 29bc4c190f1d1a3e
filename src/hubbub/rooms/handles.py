"""The application's handles: of a room, of a user, of everyone. They cost nothing and are good on any worker."""

from collections.abc import Callable, Iterable

from hubbub.delivery.journeys import Journeys
from hubbub.options import Keep, Limits
from hubbub.ports.broker import Broker
from hubbub.protocol import messages
from hubbub.rooms.declared import DeclaredRooms
from hubbub.rooms.each_room import EachRoom, check_rooms
from hubbub.rooms.publish_queue import PublishQueue
from hubbub.rooms.publishing import Sender
from hubbub.rooms.rates import Rate, RoomRates
from hubbub.rooms.retention import Retention
from hubbub.rooms.room import MayPublish, MemberRoom, Room
from hubbub.rooms.user import UserHandle
from hubbub.scheduling.home_loop import HomeLoop
from hubbub.types import EVERYONE, RoomName, Topic, UserId, room_topic, user_topic

#: Rooms whose handle is kept at hand, before all are let go.
KNOWN = 4096


class Handles:
    """`limits`: of names and payloads. `inbox`: what is kept of the messages to a user.

    `sender`, `each_room`: what makes a `Sender`, and an `EachRoom`, where more is to be done than these do.
    """

    def __init__(
        self,
        broker: Broker,
        queue: PublishQueue,
        home: HomeLoop,
        declared: DeclaredRooms,
        retention: Retention,
        limits: Limits,
        rates: RoomRates,
        *,
        inbox: Keep,
        journeys: Journeys | None = None,
        sender: Callable[..., Sender] = Sender,
        each_room: Callable[..., EachRoom] = EachRoom,
    ) -> None:
        self._new_sender = sender
        self._new_each_room = each_room
        self._broker = broker
        self._journeys = journeys
        self._queue = queue
        self._home = home
        self._declared = declared
        self._patterns = declared.patterns
        self._retention = retention
        self._limits = limits
        self._inbox = inbox
        self._rates = rates
        self._usual = rates.of(None)
        self._rooms: dict[str, Room] = {}
        self._rooms_of = 0

    def room(self, name: str) -> Room:
        """Kept for who asks for it again. Raises InvalidMessage for a bad name."""
        room = self._rooms.get(name) if type(name) is str else None
        return room if room is not None and self._rooms_of == self._patterns.version else self._new_room(name)

    def member_room(self, name: RoomName, may_publish: MayPublish) -> MemberRoom:
        """As `room`, for one member that is asked."""
        return MemberRoom(name, self._sender_of(name), may_publish)

    def each_room(self, names: Iterable[str]) -> EachRoom:
        """Raises as `check_rooms` does."""
        rooms = check_rooms(names, self._limits)
        senders = {room: self._sender_of(room) for room in rooms}
        return self._new_each_room(rooms, senders, self._home, self._limits)

    def user(self, id: UserId) -> UserHandle:
        return UserHandle(id, self._sender(user_topic(id), None, self._inbox, self._usual), name=self._limits.name)

    def everyone(self) -> Sender:
        return self._sender(EVERYONE, None, None, self._usual)

    def _new_room(self, asked: str) -> Room:
        name = messages.check_shared(asked, limit=self._limits.name)
        if self._rooms_of != self._patterns.version or len(self._rooms) >= KNOWN:
            self._rooms.clear()
            self._rooms_of = self._patterns.version
        room = self._rooms[name] = Room(name, self._sender_of(name))
        return room

    def _sender_of(self, room: RoomName) -> Sender:
        options = self._declared.options_of(room)
        return self._sender(room_topic(room), room, options.history, self._rates.of(options.rate))

    def _sender(self, topic: Topic, room: RoomName | None, own: Keep, rate: Rate | None) -> Sender:
        return self._new_sender(
            topic,
            self._broker,
            self._queue,
            self._home,
            self._retention,
            limit=self._limits.payload,
            room=room,
            own=own,
            rate=rate,
            journeys=self._journeys,
        )
