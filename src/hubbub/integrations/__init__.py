"""What an application may include: routers for operators and for publishing over HTTP, and metrics.

Knows hub, ports, protocol and the ground.
"""
