"""The command `hubbub`: serve, doctor, bench, publish, token.

A door: it uses the public face and whatever stands below; nobody imports it.
"""
