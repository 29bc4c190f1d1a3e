"""What one of each thing costs, as `python -m benchmarks.costs --write` measured it, which writes this file.

Processor seconds are those of the server's process, so that other work on the machine hardly counts.
"""

MACHINE = "AMD EPYC, 2 cores; Python 3.11.7"
DATE = "2026-11-28"
COMMAND = "python -m benchmarks.costs --write"

#: What was measured, in the unit that its name ends with. `hubbub.sizing.costs` says what each is.
MEASURED = {
    "broker_copy_us": 2.0,
    "delivery_bytes_beside_content": 63.6,
    "delivery_us": 2.5,
    "handshake_broker_us": 267.0,
    "handshake_ms": 3.14,
    "heartbeat_bytes": 36.0,
    "heartbeat_us": 49.5,
    "idle_kib": 4.75,
    "enter_broker_us": 337,
    "enter_ms": 4.85,
    "enter_with_presence_broker_us": 320,
    "enter_with_presence_ms": 4.44,
    "joined_kib": 5.67,
    "kept_broker_bytes": 119.0,
    "kept_message_broker_commands": 8.19,
    "kept_message_broker_us": 104.0,
    "kept_message_us": 297.0,
    "leave_ms": 0.417,
    "message_broker_commands": 1.17,
    "message_broker_us": 40.0,
    "message_us": 241.0,
    "online_broker_bytes": 650.0,
    "present_broker_bytes": 731.0,
    "receive_us": 87.5,
    "refusal_ms": 0.741,
    "rejoin_broker_commands": 25.9,
    "rejoin_broker_us": 407.0,
    "rejoin_ms": 5.48,
    "request_us": 57.3,
    "worker_idle_broker_commands_per_s": 33.6,
    "worker_idle_ms_per_s": 4.0,
    "worker_mib": 78.3,
    "worker_start_s": 1.58,
}
