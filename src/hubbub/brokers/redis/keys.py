"""Where things stand in Redis. Pure, and injective: no topic, member or hub name can reach another's key.

    hubbub:{<name>:<topic>}:members         hash   member -> number of its holders
    hubbub:{<name>:<topic>}:of:<holder>     set    the members this holder holds; what a dead holder held is read here
    hubbub:{<name>:<topic>}:shown           hash   member -> what its holders show of it, see `showing.lua`
    hubbub:{<name>:<topic>}:live:<db>       channel
    hubbub:{<name>:<topic>}:meta            hash   e: the epoch, s: the offset of the newest message; outlives them
    hubbub:{<name>:<topic>}:stream          stream <offset>-0 -> d: the envelope, t: when, in the server's milliseconds
    hubbub:{<name>:<topic>}:did:<key>       string epoch:offset of what was published under an idempotency key
    hubbub:{<name>:<lease>}:turn            string the holder, expires
    hubbub:{<name>:<lease>}:turns           string the number of the last turn, outlives the lease by a day
    hubbub:{<name>}:begun                   zset   key of a topic's position -> when its history began; what is not lost
    hubbub:{<name>}:nodes                   hash   node -> when it expires and what it said
    hubbub:{<name>}:leases                  zset   holder -> until when it is to be believed
    hubbub:{<name>}:lapsed                  zset   holder whose lease ran out -> when that was found
    hubbub:{<name>}:holds:<holder>          set    the topics it holds something in
    hubbub:{<name>}:edges                   stream <number>-0 -> t: topic, m: member, h: came or not, at: when, c: which
    hubbub:{<name>}:numbers                 hash   n: the newest edge's number, c: how many there were, h: handled up to
    hubbub:{<name>}:asked                   string somebody asked for edges, expires
    hubbub:{<name>}:left                    zset   user -> when its last tab anywhere went
    hubbub:{<name>}:revoked                 zset   what is revoked -> until when that is remembered, expires
    hubbub:{<name>}:revocations             zset   the same -> its number, expires
    hubbub:{<name>}:words                   zset   how the hub's topics are to be treated -> when it was said last
    hubbub:{<name>}:version                 string changes with what is said in words
    hubbub:{<name>}:rules                   string what the release before said instead
    hubbub:{<name>}:probe, hubbub:{<name>:<topic>}:probe    are gone when the script ends that writes them

What the application chose is percent-encoded, so the only braces are ours and a topic's keys share one Cluster slot.
In the sets of leases and topics the elements are encoded too, so that a script makes the keys of what a holder held.
A channel has the database in its name because Redis publishes across databases, and two hubs in two do not meet.
"""

from functools import lru_cache
from urllib.parse import quote, unquote

from hubbub.errors import ConfigurationError
from hubbub.types import Topic


def encoded(text: str) -> bytes:
    """The text as an element or argument. Lone surrogates pass, so that every str has bytes of its own."""
    return text.encode("utf-8", "surrogatepass")


def decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


# The same few names again and again, and quoting costs more than all the rest of a key.
@lru_cache(4096)
def quoted(text: str) -> bytes:
    """The text as a part of a key. A topic's colons may stay as they are, to be read."""
    return quote(text, safe=":@/", errors="surrogatepass").encode()


@lru_cache(4096)
def quoted_whole(text: str) -> bytes:
    """The text as a part of a key that other parts may follow."""
    return quote(text, safe="", errors="surrogatepass").encode()


def unquoted(data: bytes) -> str:
    return unquote(data.decode(), errors="surrogatepass")


class Keys:
    """The keys of one hub, all ASCII. Raises ConfigurationError where `name` is empty."""

    def __init__(self, name: str, *, db: int = 0) -> None:
        if not name:
            raise ConfigurationError("a hub's name must not be empty")
        # The hub's part has no colon, so the first one ends it.
        self._hub = b"hubbub:{%b" % quoted_whole(name)
        self._channel = b"live:%d" % db
        self.nodes, self.leases, self.lapsed, self.words, self.version, self.rules, self._probe = (
            self._hub + b"}:" + what
            for what in (b"nodes", b"leases", b"lapsed", b"words", b"version", b"rules", b"probe")
        )
        self.edges, self.numbers, self.asked, self.left, self.begun, self.revoked, self.revocations = (
            self._hub + b"}:" + what
            for what in (b"edges", b"numbers", b"asked", b"left", b"begun", b"revoked", b"revocations")
        )
        self.all_holds: bytes = self._hub + b"}:holds:"
        """What the key of a holder's topics begins with; the holder follows."""
        self.all_topics: bytes = self._hub + b":"
        """What the keys of a topic begin with; the topic follows."""

    def channel(self, topic: Topic) -> bytes:
        return self._key(topic, self._channel)

    def members(self, topic: Topic) -> bytes:
        return self._key(topic, b"members")

    def held(self, topic: Topic, holder: str) -> bytes:
        return self._key(topic, b"of:" + quoted_whole(holder))

    def shown(self, topic: Topic) -> bytes:
        return self._key(topic, b"shown")

    def holds(self, holder: str) -> bytes:
        return self.all_holds + quoted_whole(holder)

    def meta(self, topic: Topic) -> bytes:
        return self._key(topic, b"meta")

    def stream(self, topic: Topic) -> bytes:
        return self._key(topic, b"stream")

    def did(self, topic: Topic, idempotency_key: str) -> bytes:
        return self._key(topic, b"did:" + quoted_whole(idempotency_key))

    def turn(self, lease: str) -> bytes:
        return self._key(lease, b"turn")

    def turns(self, lease: str) -> bytes:
        return self._key(lease, b"turns")

    def probe(self, topic: Topic) -> tuple[bytes, bytes]:
        """One of the hub's keys and one of a topic's, which a Cluster keeps apart."""
        return self._probe, self._key(topic, b"probe")

    def _key(self, what: str, suffix: bytes) -> bytes:
        return b"%b%b}:%b" % (self.all_topics, quoted(what), suffix)
