"""What adapters must do, and what time and counting are: one screen each.

Knows the protocol and the ground, and no adapter.
"""
