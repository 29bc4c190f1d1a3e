"""The command `hubbub`: serve, doctor, tail, top, bench, publish, token.

Knows the face, loadtest, client, hub, auth, brokers, transports, ports, protocol and the ground. Nobody imports it.
"""
