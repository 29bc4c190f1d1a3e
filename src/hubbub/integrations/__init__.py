"""Routers an application may include: what operators ask, and publishing over HTTP.

Knows hub, protocol and the ground.
"""
