"""How one message reaches many: who its recipients are, one write a turn for each, and what a slow reader misses.

Knows ports, protocol and the ground. `scheduling` beside it does not know it; who may be in a room is asked above.
"""
