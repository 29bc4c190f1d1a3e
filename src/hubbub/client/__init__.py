"""Publishing from where no hub runs: a task queue, a cron job, another service.

A door that knows brokers, rooms and what is below, and no hub.
"""
