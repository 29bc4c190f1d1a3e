"""What traces show: a span for what a client asks for, for what is published, and for what every worker delivers of it.

Knows connection, rooms, delivery, ports, protocol and the ground. `auth`, `brokers` and `transports` beside it
do not know it, and nothing below does: what is traced is composed otherwise, so that nobody else pays for it. Of
OpenTelemetry it knows the API, never an SDK.
"""
