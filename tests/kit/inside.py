"""What is inside of a hub that runs: the one place where a test looks there."""

from hubbub import Hub
from hubbub.hub.runtime import Runtime


def runs(hub: Hub) -> bool:
    """Whether it was started, and not stopped since."""
    return hub._running is not None


def inside(hub: Hub) -> Runtime:
    """The runtime of a hub that runs."""
    running = hub._running
    assert running is not None
    return running
