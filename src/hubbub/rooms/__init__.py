"""Rooms and users: who joins, who leaves, who is in, and how a message gets from an application to the broker.

Knows history, presence, delivery, scheduling, ports, protocol and the ground; never a connection, which is a member
like any other recipient. Whether somebody *may* join is the application's answer: `handlers/dispatch.py` asks for it.
"""
