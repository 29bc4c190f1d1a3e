"""Real-time for FastAPI: rooms, users, presence, history and resume over WebSockets, on one worker or many.

    hub = Hub(auth=JWTAuth())
    app = FastAPI()
    app.include_router(hub.router)

Names not listed here are private to the package and may change.
"""

from hubbub.auth.jwt import JWTAuth
from hubbub.auth.sessions import SessionAuth, SessionStore
from hubbub.connection.connection import Connection
from hubbub.errors import (
    ConfigurationError,
    Conflict,
    ConnectionClosed,
    CredentialError,
    CredentialFault,
    ExpiredCredential,
    Forbidden,
    HandshakeRefused,
    HubbubError,
    InvalidCredential,
    InvalidMessage,
    NotFound,
    NotJoined,
    NotSentToAll,
    RateLimited,
    Refused,
    TooManyRooms,
    Unauthorized,
    Unavailable,
    UnknownRoom,
)
from hubbub.history.page import Page
from hubbub.hub.cluster import Lease, Stats, Worker
from hubbub.hub.current import HubDep
from hubbub.hub.hub import Hub
from hubbub.options import Addresses, Heartbeat, History, Leaving, Limits, Rate, RoomRate
from hubbub.ports.auth import Authenticator, Carrier, Credential
from hubbub.rooms.each_room import EachRoom
from hubbub.rooms.room import Room
from hubbub.rooms.user import UserHandle
from hubbub.types import Disconnect, Edge, Position, User

__version__ = "0.1.0"

__all__ = [
    "Addresses",
    "Authenticator",
    "Carrier",
    "ConfigurationError",
    "Conflict",
    "Connection",
    "ConnectionClosed",
    "Credential",
    "CredentialError",
    "CredentialFault",
    "Disconnect",
    "EachRoom",
    "Edge",
    "ExpiredCredential",
    "Forbidden",
    "HandshakeRefused",
    "Heartbeat",
    "History",
    "Hub",
    "HubDep",
    "HubbubError",
    "InvalidCredential",
    "InvalidMessage",
    "JWTAuth",
    "Lease",
    "Leaving",
    "Limits",
    "NotFound",
    "NotJoined",
    "NotSentToAll",
    "Page",
    "Position",
    "Rate",
    "RateLimited",
    "Refused",
    "Room",
    "RoomRate",
    "SessionAuth",
    "SessionStore",
    "Stats",
    "TooManyRooms",
    "Unauthorized",
    "Unavailable",
    "UnknownRoom",
    "User",
    "UserHandle",
    "Worker",
]
