"""Where things stand in Redis. Pure, and injective: no topic, member or hub name can reach another's key.

    hubbub:{<name>:<topic>}:members         hash   member -> number of its holders
    hubbub:{<name>:<topic>}:of:<holder>     set    the members this holder holds; what a dead holder held is read here
    hubbub:{<name>:<topic>}:live:<db>       channel
    hubbub:{<name>:<lease>}:turn            string the holder, expires
    hubbub:{<name>:<lease>}:turns           string the number of the last turn, outlives the lease by a day
    hubbub:{<name>}:nodes                   hash   node -> when it expires and what it said

What the application chose is percent-encoded, so the only braces are ours and a topic's keys share one Cluster slot.
A channel has the database in its name because Redis publishes across databases, and two hubs in two do not meet.
"""

from urllib.parse import quote

from hubbub.errors import ConfigurationError
from hubbub.types import Topic


def encoded(text: str) -> bytes:
    """The text as an element or argument. Lone surrogates pass, so that every str has bytes of its own."""
    return text.encode("utf-8", "surrogatepass")


def decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


class Keys:
    """The keys of one hub, all ASCII. Raises ConfigurationError where `name` is empty."""

    def __init__(self, name: str, *, db: int = 0) -> None:
        if not name:
            raise ConfigurationError("a hub's name must not be empty")
        self._hub = quote(name, safe="", errors="surrogatepass")
        self._channel = f"live:{db}"
        self.nodes = f"hubbub:{{{self._hub}}}:nodes".encode()

    def channel(self, topic: Topic) -> bytes:
        return self._key(topic, self._channel)

    def members(self, topic: Topic) -> bytes:
        return self._key(topic, "members")

    def held(self, topic: Topic, holder: str) -> bytes:
        return self._key(topic, "of:" + quote(holder, safe="", errors="surrogatepass"))

    def turn(self, lease: str) -> bytes:
        return self._key(lease, "turn")

    def turns(self, lease: str) -> bytes:
        return self._key(lease, "turns")

    def _key(self, what: str, suffix: str) -> bytes:
        # The hub's part has no colon, so the first one ends it; a topic's colons may stay as they are, to be read.
        return f"hubbub:{{{self._hub}:{quote(what, safe=':@/', errors='surrogatepass')}}}:{suffix}".encode()
