"""When and in which order code runs: tasks, turns taken one after the other, timers, allowances.

Knows ports and the ground, and nothing of messages, rooms or connections. `delivery` beside it does not know it.
"""
