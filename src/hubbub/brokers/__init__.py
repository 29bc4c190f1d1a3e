"""What carries messages between workers, and keeps history and presence. Adapters of `ports/broker.py`.

Knows ports, the protocol and the ground. `auth` and `transports` beside it do not know it.
"""
