"""Publishing from where no hub runs: a task queue, a cron job, another service.

Knows brokers, rooms, protocol and the ground, and no hub.
"""
