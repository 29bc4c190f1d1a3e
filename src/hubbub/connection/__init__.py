"""One accepted socket, one tab: what its client asks for, what it is sent, and what time does to it.

Knows handlers, rooms and everything below, and its transport only by the port.
"""
