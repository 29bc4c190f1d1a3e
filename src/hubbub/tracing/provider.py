"""Whether anything is traced: decided once, when a hub starts, by what the application has set up until then.

The API of OpenTelemetry need not be there: FastAPI has brought it along since 0.142. Without an SDK it makes spans of
nothing, which cost little; we make none at all.
"""

import logging
import os
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from hubbub.errors import ConfigurationError, described
from hubbub.ports.logs import Event, fields
from hubbub.rooms.declared import DeclaredRooms
from hubbub.types import NodeId

if TYPE_CHECKING:
    from hubbub.tracing.publishing import Publishing
    from hubbub.tracing.worker import Tracing

_log = logging.getLogger("hubbub.tracing")


class TracerProvider(Protocol):
    """As `opentelemetry.trace` has it."""

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
    ) -> Any: ...


#: See `Hub`'s `tracing`.
Setting: TypeAlias = bool | TracerProvider | None

_NO = frozenset({"0", "false", "no", "off"})
_SCHEMA = "https://opentelemetry.io/schemas/1.44.0"


def check(setting: object, owner: str) -> None:
    """Raises ConfigurationError for what is no setting, and where a provider is given and the API is not there."""
    if setting is None or isinstance(setting, bool):
        return
    if isinstance(setting, type) or not callable(getattr(setting, "get_tracer", None)):
        said = f"the class {setting.__name__}" if isinstance(setting, type) else type(setting).__name__
        raise ConfigurationError(f"{owner}(tracing=…) is a bool, None or a TracerProvider, not {said}")


def wanted(setting: Setting) -> bool:
    """Whether there may be tracing: what the code says wins over HUBBUB_TRACING, which may say no."""
    if setting is None:
        return os.environ.get("HUBBUB_TRACING", "").lower() not in _NO
    return setting is not False


def begin(
    setting: Setting, hide: Callable[[BaseException, str], str], declared: DeclaredRooms, node: NodeId
) -> "Tracing | None":
    """What traces a worker that starts now, None where nothing is to be. Raises nothing."""
    tracer = tracer_of(setting)
    if tracer is None:
        return None
    from hubbub.tracing.worker import Tracing  # which needs the API

    return Tracing(tracer, hide, declared, node)


def tell_if_late(setting: Setting) -> None:
    """To be asked some time after a start without tracing: somebody may wait for traces in vain."""
    if tracer_of(setting) is not None:
        _log.warning(
            "a tracer provider was set up after the hub had started: it traces nothing. "
            "Set it up before, at import or in the application's lifespan before the yield",
            extra=fields(Event.NOT_TRACED),
        )


def begin_publishing(setting: Setting, hide: Callable[[BaseException, str], str]) -> "Publishing | None":
    """The same of who publishes without a hub, and knows of no declared rooms."""
    tracer = tracer_of(setting)
    if tracer is None:
        return None
    from hubbub.tracing.publishing import Publishing
    from hubbub.tracing.spans import Spans

    return Publishing(Spans(tracer, hide))


def tracer_of(setting: Setting) -> Any | None:
    """The tracer, None where nothing is to be traced, or nobody is there who would take what is.

    What is set up later is not found: it would have to be looked for with every message.
    """
    if not wanted(setting):
        return None
    try:
        from opentelemetry import trace
    except ImportError:
        return None
    try:
        provider = trace.get_tracer_provider() if setting is None or isinstance(setting, bool) else setting
        # The API has no other way to ask: a proxy stands where nothing was set, and may be told of a provider later.
        if type(provider) is trace.ProxyTracerProvider or isinstance(provider, trace.NoOpTracerProvider):
            return None
        tracer = provider.get_tracer("hubbub", _version(), schema_url=_SCHEMA)
    except Exception as error:  # noqa: BLE001 - an SDK's, and no reason not to start
        why = described(error)
        _log.warning(
            "nothing is traced: the tracer provider failed (%s)", why, extra=fields(Event.NOT_TRACED, cause=why)
        )
        return None
    return None if isinstance(tracer, trace.NoOpTracer) else tracer


def _version() -> str | None:
    try:
        return version("hubbub")
    except PackageNotFoundError:  # run from its source
        return None
