"""Rooms and users: who joins, who leaves, who may send, and how a message gets from an application to the broker.

Knows history, presence, delivery and everything below; never a connection, which is a member like any other recipient.
"""
