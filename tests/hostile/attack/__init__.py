"""Attackers beside users: `make attack` measures what the one cost the others.

Each attack is a value (`attacks`) that one loop drives (`crowd`), with as many sockets as asked for and everything it
sends made before, so that it is the server that works and not the attacker. The tests of `tests/hostile` let the same
attacks at a server and look at bounds; `make attack` measures round trips of `users` beside them.
"""
