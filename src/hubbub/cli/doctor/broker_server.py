"""What the server behind the broker is set to, against what the hubs need of it.

INFO and CONFIG GET are no rights of a worker's user. Where they are refused that is said, and nothing is guessed.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from hubbub.brokers.redis.server import in_redis_terms
from hubbub.brokers.url import read_url
from hubbub.cli.doctor.broker_rights import rights
from hubbub.cli.doctor.finding import About, Finding
from hubbub.options import Limits, RoomRate

_DEADLINE = 2.0
#: ACL, and scripts that ask for the time and write: before that none of ours runs.
OLDEST = (6, 0)
#: Of its limit: beyond that it is nearly full.
_FULL = 0.9
#: Seconds by which clocks may differ before anybody notices. Leases are counted by the server's.
_SKEW, _TOO_MUCH_SKEW = 1.0, 30.0
#: What leaves together in one PUBLISH besides the message that made it full.
_ROUND = 1024 * 1024
_PAGE = "docs/howto/deploy.md#what-you-need"


class Needs(NamedTuple):
    """Of the hubs. `keeps`: whether they keep history, None where nobody knows."""

    name: str = "hubbub"
    keeps: bool | None = None
    limits: Limits = Limits()
    room_rate: RoomRate = RoomRate()
    workers: int = 1


def server(url: str, needs: Needs) -> Iterator[Finding]:
    """One that has answered before; what it does not tell is left out, and that is said."""
    terms = {**in_redis_terms(read_url(url)), "socket_timeout": _DEADLINE, "socket_connect_timeout": _DEADLINE}
    kinds = {"tcp": redis.Connection, "tls": redis.SSLConnection, "unix": redis.UnixDomainSocketConnection}
    kind = kinds[read_url(url).kind]
    client: redis.Redis = redis.Redis(
        connection_pool=redis.ConnectionPool(connection_class=kind, retry=Retry(NoBackoff(), 0), **terms)
    )
    try:
        yield from _looked_at(client, needs, read_url(url).db)
    except (RedisError, OSError) as error:
        do = "run doctor again when it answers"
        yield Finding(About.BROKER_SETTINGS, "weak", f"it stopped answering: {type(error).__name__}", do)
    finally:
        client.connection_pool.disconnect()


def _looked_at(client: redis.Redis, needs: Needs, db: int) -> Iterator[Finding]:
    yield from rights(client, needs.name, db)
    info, config = _info(client), _config(client)
    if info:
        yield _version(info)
        yield _mode(info)
        yield _memory(info)
        yield _eviction(info)
        yield _persistence(info, config, needs.keeps)
    if config is not None:
        yield output_buffer(config.get("client-output-buffer-limit", ""), needs)
    yield from _clock(client)
    untold = [*([] if info else ["INFO"]), *([] if config is not None else ["CONFIG GET"])]
    if untold:
        said = f"not all looked at: this user may not {' and '.join(untold)}"
        do = "once, with HUBBUB_BROKER of one who may: +info +config|get"
        yield Finding(About.BROKER_SETTINGS, "weak", said, do)


def _info(client: redis.Redis) -> Mapping[str, Any]:
    try:
        return dict(client.info("everything"))
    except redis.ResponseError:
        return {}


def _config(client: redis.Redis) -> Mapping[str, str] | None:
    try:
        found = client.config_get("client-output-buffer-limit", "save")
    except redis.ResponseError:
        return None
    return {_text(name): _text(value) for name, value in found.items()}


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _version(info: Mapping[str, Any]) -> Finding:
    valkey = info.get("valkey_version")
    said = f"Valkey {_text(valkey)}" if valkey else f"Redis {_text(info.get('redis_version', 'unknown'))}"
    numbers = tuple(int(part) for part in said.split()[-1].split(".")[:2] if part.isdecimal())
    if not numbers:
        return Finding(About.BROKER_VERSION, "ok", f"{said}: it does not tell its version")
    if numbers < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return Finding(About.BROKER_VERSION, "wrong", f"{said} is older than {oldest}", "a newer Valkey or Redis")
    return Finding(About.BROKER_VERSION, "ok", said)


def _mode(info: Mapping[str, Any]) -> Finding:
    if "sentinel" in (_text(info.get("redis_mode", "")), _text(info.get("server_mode", ""))):
        said = "a sentinel, which keeps nothing and knows only where the primary is"
        return Finding(About.BROKER_MODE, "wrong", said, "the address of the primary in HUBBUB_BROKER")
    if int(info.get("cluster_enabled", 0)):
        said = "a node of a cluster: keys of one hub would be on several"
        return Finding(About.BROKER_MODE, "wrong", said, "a standalone server, cluster-enabled no")
    if _text(info.get("role", "master")) != "master":
        said = "a replica, which takes no writes"
        return Finding(About.BROKER_MODE, "wrong", said, "the address of the primary in HUBBUB_BROKER")
    return Finding(About.BROKER_MODE, "ok", "standalone, and takes writes")


def _memory(info: Mapping[str, Any]) -> Finding:
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if not most:
        said = f"{_bytes(used)} used, and no maxmemory: when the machine has no more, the kernel ends it"
        return Finding(About.BROKER_MEMORY, "weak", said, "maxmemory, three quarters of the machine's for instance")
    if used >= most:
        said = f"{_bytes(used)} used, and maxmemory is {_bytes(most)}: what is to be kept is refused"
        return Finding(About.BROKER_MEMORY, "wrong", said, "a larger maxmemory, or less history")
    if used >= _FULL * most:
        said = f"{_bytes(used)} used of {_bytes(most)}: nearly full"
        return Finding(About.BROKER_MEMORY, "weak", said, "a larger maxmemory, or less history")
    return Finding(About.BROKER_MEMORY, "ok", f"{_bytes(used)} used of {_bytes(most)}")


def _eviction(info: Mapping[str, Any]) -> Finding:
    policy, most = _text(info.get("maxmemory_policy", "noeviction")), int(info.get("maxmemory", 0))
    if policy == "noeviction":
        return Finding(About.BROKER_EVICTION, "ok", policy)
    what = "history and positions" if policy.startswith("volatile") else "history, positions and who is where"
    do = "maxmemory-policy noeviction"
    if not most:
        return Finding(About.BROKER_EVICTION, "weak", f"{policy}: with a maxmemory it would take {what} away", do)
    said = f"{policy}: when it is full it takes {what} away, and tells nobody"
    return Finding(About.BROKER_EVICTION, "wrong", said, do)


def _persistence(info: Mapping[str, Any], config: Mapping[str, str] | None, keeps: bool | None) -> Finding:
    name = About.BROKER_PERSISTENCE
    aof = bool(int(info.get("aof_enabled", 0)))
    failed = [
        what
        for what, field in (("RDB", "rdb_last_bgsave_status"), ("AOF", "aof_last_write_status"))
        if _text(info.get(field, "ok")) != "ok"
    ]
    if failed:
        said = f"the last time {' and '.join(failed)} could not be written"
        return Finding(name, "wrong", said, "its disk, its dir and their rights; its own log says more")
    if aof:
        return Finding(name, "ok", "AOF: what was kept survives it")
    do = "appendonly yes, appendfsync everysec"
    # Without CONFIG GET: whether it ever saved tells at least whether it does.
    saves = config["save"] if config is not None and "save" in config else ""
    if saves:
        said = f"RDB ({saves}): what was kept since the last snapshot ends with it"
        return Finding(name, "ok" if keeps is False else "weak", said, "" if keeps is False else do)
    if config is None:
        said = "no AOF; whether there are snapshots it does not tell"
    else:
        said = "none: what is kept ends with it"
    if keeps is False:
        return Finding(name, "ok", f"{said}, and nothing is kept")
    if keeps is None:
        return Finding(
            name, "weak", f"{said}, where a room keeps history", f"{do}; or doctor MODULE:APP, to know whether"
        )
    return Finding(name, "weak", f"{said}: after it positions begin anew, and clients are told recovered: false", do)


def output_buffer(limits: str, needs: Needs) -> Finding:
    """What the server holds for a worker that has not read it yet, against what may come at once.

    `limits`: as CONFIG GET says it, `normal 0 0 0 slave … pubsub HARD SOFT SECONDS`.
    """
    name = About.BROKER_OUTPUT_BUFFER
    words = limits.split()
    hard, soft, seconds = (
        map(int, words[words.index("pubsub") + 1 : words.index("pubsub") + 4]) if "pubsub" in words else (0, 0, 0)
    )
    largest = needs.limits.payload + _ROUND
    burst = largest + needs.workers * needs.room_rate.burst_bytes
    do = f"client-output-buffer-limit pubsub {_megabytes(max(32, 4 * burst // 2**20))} {_megabytes(8)} 60"
    if not hard:
        said = "no limit for pubsub: a worker that does not read takes all memory there is"
        return Finding(name, "weak", said, do)
    if hard < largest:
        said = f"{_bytes(hard)} for pubsub, and one message may have {_bytes(largest)} with what leaves beside it"
        return Finding(name, "wrong", f"{said}: whoever is to get it is cut off", do)
    if hard < burst:
        said = (
            f"{_bytes(hard)} for pubsub, and {needs.workers} workers may publish {_bytes(burst)} at once into one room"
        )
        return Finding(name, "weak", f"{said}: a worker that is busy then is cut off", do)
    if soft and soft < burst and seconds < 10:
        said = f"more than {_bytes(soft)} for {seconds} s cuts a worker off, which {_bytes(burst)} at once may be"
        return Finding(name, "weak", said, do)
    return Finding(name, "ok", f"{_bytes(hard)} for pubsub, and at once come {_bytes(burst)} at most into one room")


def _clock(client: redis.Redis) -> Iterator[Finding]:
    begun = time.time()
    try:
        seconds, microseconds = client.time()
    except redis.ResponseError:
        return  # the rights said so
    took = time.time() - begun
    yield clock(About.BROKER_CLOCK, int(seconds) + int(microseconds) / 1e6 - (begun + took / 2), took / 2, "the broker")


def clock(name: About, ahead: float, unsure: float, whose: str) -> Finding:
    """`ahead`: seconds by which the other clock is ahead of this machine's, give or take `unsure`."""
    off = max(0.0, abs(ahead) - unsure)
    if off < _SKEW:
        return Finding(name, "ok", "as this machine's")
    said = f"the clock of {whose} is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    do = "NTP on both (timedatectl set-ntp true)"
    if off < _TOO_MUCH_SKEW:
        return Finding(name, "weak", f"{said}: tokens begin and end by that much too early or late", do)
    return Finding(name, "wrong", f"{said}: new tokens are refused, or old ones taken", do)


def _bytes(number: int) -> str:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number} bytes"


def _megabytes(number: int) -> str:
    return f"{number}mb"
