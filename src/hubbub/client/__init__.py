"""Publishing from where no hub runs: a task queue, a cron job, another service.

Knows auth, brokers, tracing, rooms, scheduling, protocol and the ground, and no hub.
"""
