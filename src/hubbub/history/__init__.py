"""What was missed: where this worker stands in each topic that keeps history, and who resumes from where.

Knows delivery, scheduling and everything below. `presence` beside it does not know it.
"""
