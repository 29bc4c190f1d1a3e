"""Who is there: counted by node and user, told once, kept true in the broker, also after a crash.

Knows delivery, scheduling, ports, protocol and the ground. `history` beside it does not know it.
"""
