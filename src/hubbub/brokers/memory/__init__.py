"""The broker of one process: what brokers share is a `Store`, and a message is brought within the turn it is sent in.

Knows the port, the protocol and the ground.
"""
