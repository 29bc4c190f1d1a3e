"""Work for nothing, at the lowest priority: `python -m tests.hostile.attack.burn SHARE` of a core, until ended."""

import os
import sys
import time

_TURN = 0.01


def main(share: float) -> None:
    os.nice(19)
    while True:
        end = time.process_time() + share * _TURN
        begun = time.monotonic()
        while time.process_time() < end:
            pass
        time.sleep(max(0.0, _TURN - (time.monotonic() - begun)))


if __name__ == "__main__":
    main(min(1.0, float(sys.argv[1])))
