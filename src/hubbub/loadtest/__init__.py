"""A load tool for WebSocket servers, spoken to in any dialect; `hubbub bench` is its command line.

from hubbub.loadtest.run import run
from hubbub.loadtest.v1 import HubbubV1
from hubbub.loadtest.workloads import Target, Workload

result = run(Workload("fanout", connections=1000, in_flight=10), HubbubV1(), Target.parse("ws://127.0.0.1:8000"))
print(result.deliveries_per_second, result.latency.p99)

Knows the ground alone.
"""
