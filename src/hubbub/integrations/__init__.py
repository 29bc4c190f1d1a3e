"""Routers an application may include: what operators ask, and publishing over HTTP.

A door: it finds the hub by the public face.
"""
