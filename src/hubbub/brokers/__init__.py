"""What carries messages between workers, and keeps history and presence. Adapters of `ports/broker.py`.

Knows scheduling, ports, protocol and the ground. `auth`, `tracing` and `transports` beside it do not know it.
"""
