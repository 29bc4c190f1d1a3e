"""Who is there, by the credential: carriers, JWT, sessions, the Origin. Adapters of `ports/auth.py`.

Knows ports, protocol and the ground. `brokers` and `transports` beside it do not know it.
"""
