"""What was missed: where this worker stands in each topic that keeps history, and who resumes from where.

Knows delivery, scheduling, ports, protocol and the ground. `presence` beside it does not know it.
"""
