"""What adapters must do, and what time and counting are.

Knows protocol and the ground, and no adapter.
"""
