"""What a hub knows of the server process it runs in."""

import os
import signal


def workers_of_this_server() -> int:
    """How many processes serve this application, as far as this one can know; 1 where nothing says otherwise.

    `hubbub serve` says it in HUBBUB_WORKERS, uvicorn and gunicorn take WEB_CONCURRENCY, and a running uvicorn server
    has it in its configuration, which is reached through the signal handler it has installed.
    """
    known = [os.environ.get("HUBBUB_WORKERS"), os.environ.get("WEB_CONCURRENCY")]
    for number in (signal.SIGTERM, signal.SIGINT):
        server = getattr(signal.getsignal(number), "__self__", None)
        known.append(getattr(getattr(server, "config", None), "workers", None))
    return max([int(count) for count in known if count is not None and str(count).isdecimal()] or [1])
