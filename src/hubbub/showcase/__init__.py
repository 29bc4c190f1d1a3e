"""The application that `hubbub serve` runs when it is given none: small, whole examples.

A door, written as an application is: by the public face.
"""
