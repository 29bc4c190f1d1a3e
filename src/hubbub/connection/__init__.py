"""One accepted socket, one tab: what its client asks for, what it is sent, and what time does to it.

Knows handlers, rooms, history, presence, delivery, scheduling, ports, protocol and the ground; its transport only by
the port.
"""
