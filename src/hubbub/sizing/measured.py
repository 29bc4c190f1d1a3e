"""What one of each thing costs, as `python -m benchmarks.costs --write` measured it, which writes this file.

Processor seconds of the process, not of the clock: a machine that is busy with others makes them more.
"""

MACHINE = "AMD EPYC, 2 cores, load average 0; Python 3.11.7"
DATE = "2026-11-28"
COMMAND = "python -m benchmarks.costs --write"

#: What was measured, in the unit that its name ends with. `hubbub.sizing.costs` says what each is.
MEASURED = {
    "broker_copy_us": 1.9,
    "delivery_bytes_beside_content": 63.6,
    "delivery_us": 9.39,
    "enter_broker_us": 233.0,
    "enter_ms": 2.98,
    "enter_with_presence_broker_us": 320.0,
    "enter_with_presence_ms": 3.97,
    "handshake_broker_us": 217.0,
    "handshake_ms": 2.24,
    "heartbeat_bytes": 36.0,
    "heartbeat_us": 51.1,
    "idle_kib": 4.25,
    "joined_kib": 5.45,
    "kept_broker_bytes": 120.0,
    "kept_message_broker_commands": 8.19,
    "kept_message_broker_us": 164.0,
    "kept_message_us": 419.0,
    "leave_ms": 0.397,
    "message_broker_commands": 1.18,
    "message_broker_us": 104.0,
    "message_us": 405.0,
    "online_broker_bytes": 648.0,
    "present_broker_bytes": 731.0,
    "receive_us": 83.9,
    "refusal_ms": 0.751,
    "rejoin_broker_commands": 10.1,
    "rejoin_broker_us": 180.0,
    "rejoin_ms": 2.36,
    "request_us": 52.2,
    "worker_idle_broker_commands_per_s": 33.6,
    "worker_idle_ms_per_s": 10.0,
    "worker_mib": 79.8,
    "worker_start_s": 0.97,
}
