"""Who is there, by the credential: carriers, JWT, sessions, the Origin. Adapters of `ports/auth.py`.

Knows scheduling, ports, protocol and the ground. `brokers`, `tracing` and `transports` beside it do not know it.
"""
