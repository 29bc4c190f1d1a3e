"""Fuzzing guided by coverage: `make fuzz`, `FUZZ=codec SECONDS=600` for one target and longer.

`targets.py` says what must hold of any bytes whatever; `corpus/` has for each target the inputs that reach everything
that was ever reached, those that were once a fault among them. They are ordinary tests, too (`test_fuzz.py`).
"""
