"""What one of each thing costs, as `python -m benchmarks.costs --write` measured it, which writes this file.

Processor seconds of the process, not of the clock: a machine that is busy with others makes them more.
"""

MACHINE = "AMD EPYC, 2 cores, load average 6; Python 3.11.7"
DATE = "2026-11-28"
COMMAND = "python -m benchmarks.costs --write"

#: What was measured, in the unit that its name ends with. `hubbub.sizing.costs` says what each is.
MEASURED = {
    "broker_copy_us": 2.6,
    "delivery_bytes_beside_content": 63.6,
    "delivery_us": 10.2,
    "enter_broker_us": 247.0,
    "enter_ms": 3.07,
    "enter_with_presence_broker_us": 243.0,
    "enter_with_presence_ms": 2.9,
    "handshake_broker_us": 297.0,
    "handshake_ms": 3.34,
    "heartbeat_bytes": 36.0,
    "heartbeat_us": 51.3,
    "idle_kib": 4.58,
    "joined_kib": 5.41,
    "kept_broker_bytes": 119.0,
    "kept_message_broker_commands": 8.2,
    "kept_message_broker_us": 72.0,
    "kept_message_us": 258.0,
    "leave_ms": 0.41,
    "message_broker_commands": 1.16,
    "message_broker_us": 32.0,
    "message_us": 210.0,
    "online_broker_bytes": 651.0,
    "present_broker_bytes": 731.0,
    "receive_us": 66.4,
    "refusal_ms": 0.912,
    "rejoin_broker_commands": 10.2,
    "rejoin_broker_us": 263.0,
    "rejoin_ms": 3.51,
    "request_us": 62.7,
    "worker_idle_broker_commands_per_s": 33.6,
    "worker_idle_ms_per_s": 6.0,
    "worker_mib": 77.9,
    "worker_start_s": 1.28,
}
