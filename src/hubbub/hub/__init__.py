"""What an application declares, and how it starts, runs and leaves: the one place where everything is composed.

Knows all rooms below and the adapters; the doors above know it.
"""
