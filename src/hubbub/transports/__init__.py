"""Frames to and from one client: on any ASGI server, and past it on uvicorn. Adapters of `ports/transport.py`.

Knows scheduling, ports, protocol and the ground. `auth`, `brokers` and `tracing` beside it do not know it.
"""

#: What uvicorn loads by name: `--ws` and `--http`.
PROTOCOL = "hubbub.transports.uvicorn:HubbubProtocol"
HTTP = "hubbub.transports.http:HubbubHTTP"
