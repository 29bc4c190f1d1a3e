"""Connections that come, join, talk, leave and go: a million by `make churn`, fewer in `test_cycles.py`."""
