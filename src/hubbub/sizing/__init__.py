"""How many workers, machines and brokers it takes: what `hubbub size` says, and what a deploy and a storm do to them.

`plan.py` is arithmetic over `costs.py`, whose figures `python -m benchmarks.costs` measured; `storm.py` plays a deploy
and a storm through, step by step. All of it is values in, values out.

Knows the ground alone.
"""
