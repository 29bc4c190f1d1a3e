"""An attack in a thread beside a test, and a real `hubbub serve` that is attacked."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.hostile.attack.attacks import ATTACKS, Attack, Target
from tests.hostile.attack.crowd import Crowd
from tests.hostile.attack.measure import ROOT, SECRET, tokens
from tests.kit.running import Served


def attacked(*arguments: str) -> Served:
    """The application that is attacked. It says only what is wrong, and is patient with who takes nothing for 2 s."""
    return Served(
        "tests.hostile.attack.served:app",
        *("--drain", "0", "--log-level", "warning", "--no-access-log"),
        *arguments,
        env={"HUBBUB_SECRET": SECRET, "ATTACK_ANNOUNCE": "1", "HUBBUB_TIMEOUT_STALLED": "2"},
        cwd=ROOT,
    )


@contextmanager
def attacking(server: Served, *attacks: Attack, sockets: int) -> Iterator[list[Crowd]]:
    """Each by at most so many sockets until the block ends. Raises what stopped one of them."""
    target = Target(int(server.url.rpartition(":")[2]), tuple(tokens("attacker", 20)))
    crowds = [Crowd(attack, target, sockets=min(sockets, attack.sockets)) for attack in attacks]
    over, failures = threading.Event(), list[BaseException]()

    def run(crowd: Crowd) -> None:
        try:
            crowd.run(over.is_set)
        except BaseException as failure:  # noqa: BLE001 - raised where the test sees it
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(crowd,)) for crowd in crowds]
    for thread in threads:
        thread.start()
    try:
        yield crowds
    finally:
        over.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


__all__ = ["ATTACKS", "attacked", "attacking", "tokens"]
