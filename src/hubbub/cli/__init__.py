"""The command `hubbub`: serve, doctor, bench, publish, token.

Knows the face, loadtest, hub, auth, brokers, transports, ports and the ground. Nobody imports it.
"""
