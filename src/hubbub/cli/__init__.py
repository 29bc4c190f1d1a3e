"""The command `hubbub`: serve, doctor, tail, top, size, bench, publish, token.

Knows the face, loadtest, sizing, client, hub, auth, brokers, transports, ports, protocol and the ground. Nobody imports
it.
"""
