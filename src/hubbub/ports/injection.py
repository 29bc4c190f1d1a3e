"""How the application's functions get their parameters: the hub's own by type, the rest by the framework."""

from collections.abc import Callable, Collection, Coroutine, Mapping
from types import CodeType
from typing import Any, Protocol

from hubbub.errors import Refused
from hubbub.protocol.handshake import Handshake
from hubbub.types import ConnectionId, User


class Caller(Protocol):
    """The connection a function works for."""

    @property
    def id(self) -> ConnectionId: ...

    @property
    def user(self) -> User: ...

    @property
    def handshake(self) -> Handshake: ...


class Injected(Protocol):
    """One function of the application's, ready to be called any number of times."""

    @property
    def name(self) -> str:
        """Module and qualified name, for logs."""

    @property
    def code(self) -> CodeType | None:
        """Its own, for who wants to say where it is; None where it has none."""

    @property
    def annotations(self) -> Mapping[str, Any]:
        """What each parameter says it is, resolved, with the constraints of `Annotated`."""

    def __call__(self, caller: Caller, message: Any, path_params: Mapping[str, str]) -> Coroutine[Any, Any, Any]:
        """Resolve the dependencies, call the function, tear the dependencies down, then return what it returned.

        Where it was prepared with a type of message, `message` is for the parameter of that type, and what is returned
        is what its return annotation says. Raises whatever the function or a dependency raises, InvalidMessage where
        the framework could not fill a parameter, and WrongAnswer where the result does not fit.
        """

    def refusal(self, error: BaseException) -> Refused | None:
        """What an exception that is meant for the client is called here; None for any other.

        Those of the framework are, and those the application has declared; raises what its own function for that does.
        """


class Injection(Protocol):
    def prepare(
        self,
        function: Callable[..., Any],
        *,
        message: Any,
        caller: type,
        path_params: frozenset[str],
        lacking: Collection[type] = (),
    ) -> Injected:
        """Look at the signature once: what the hub has is filled by it, also in what the function depends on.

        That are parameters of `message`, a model or a union of models, of the types `caller` and User, and the hub.
        Those in `lacking` are refused: what calls the function has none.

        Raises ConfigurationError, naming function and parameter, for what cannot be had on a WebSocket message, for
        what is no function that answers, and for a return annotation by which nothing can be written.
        """
