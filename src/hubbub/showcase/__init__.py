"""The application that `hubbub serve` runs when it is given none: small, whole examples.

Knows the face, integrations, auth, ports, protocol and the ground: it is written as an application is.
"""
