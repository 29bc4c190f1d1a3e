"""What a client and the hub say to each other: frames, JSON, messages, the session's table; and what crosses a broker.

Knows the ground alone. Pure: no loop, no clock, no web framework.
"""
