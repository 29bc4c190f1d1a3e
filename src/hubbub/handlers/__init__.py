"""From a message to the application's function and back: which one, with what, and what became of it.

Knows rooms, scheduling, ports, protocol and the ground. `fastapi.py` is the adapter in here, which only the hub may
import.
"""
