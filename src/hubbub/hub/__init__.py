"""What an application declares, and how it starts, runs and leaves: the one place where everything is composed.

Knows auth, brokers, tracing, transports, connection, handlers, rooms, history, presence, delivery, scheduling, ports,
protocol and the ground: all but the doors above, which know it.
"""
