"""Every alert fires on series that are bad, and none on series that are well: asked of promtool."""

import json
import re
from pathlib import Path

from tests.kit.prometheus import ALERTS, promtool

NODE = 'node="a"'


def slow(name: str) -> dict[str, str]:
    """A histogram of which two of a hundred took more than a second, ten a second being told of."""
    return {
        f'{name}_bucket{{{NODE},le="0.01"}}': "0+147x60",
        f'{name}_bucket{{{NODE},le="1.0"}}': "0+147x60",
        f'{name}_bucket{{{NODE},le="+Inf"}}': "0+150x120",
    }


def fast(name: str) -> dict[str, str]:
    return {
        f'{name}_bucket{{{NODE},le="0.01"}}': "0+150x120",
        f'{name}_bucket{{{NODE},le="1.0"}}': "0+150x120",
        f'{name}_bucket{{{NODE},le="+Inf"}}': "0+150x120",
    }


def by_turns(name: str, value: int) -> dict[str, str]:
    """Of two workers behind a balancer whose broker is away: each scrape has the one that answers."""
    return {f'{name}{{node="a"}}': f"{value} stale " * 30, f'{name}{{node="b"}}': f"stale {value} " * 30}


#: Every 15 seconds for a quarter of an hour.
BAD: dict[str, dict[str, str]] = {
    "HubbubGone": {"up": "1x60"},
    "HubbubWorkersSilent": {'hubbub_workers{state="silent"}': "2x60", 'hubbub_workers{state="answered"}': "1x60"},
    "HubbubScrapeIncomplete": {"hubbub_scrape_complete": "0x60"},
    "HubbubNotReady": {f"hubbub_ready{{{NODE}}}": "0x60"},
    "HubbubBrokerAway": by_turns("hubbub_broker_ready", 0),
    "HubbubBrokerDeaf": {f"hubbub_broker_deaf_total{{{NODE}}}": "0x50 1x10"},
    "HubbubBrokerSlow": slow("hubbub_broker_round_trip_seconds"),
    "HubbubDeliverySlow": slow("hubbub_publish_to_delivery_seconds"),
    "HubbubPublishesWait": by_turns("hubbub_publishes_waiting", 3),
    "HubbubMessagesLost": {f"hubbub_gaps_total{{{NODE}}}": "0x50 1x10"},
    "HubbubResumesIncomplete": {
        f'hubbub_resumes_total{{{NODE},outcome="complete"}}': "0+9x120",
        f'hubbub_resumes_total{{{NODE},outcome="incomplete"}}': "0+1x120",
    },
    "HubbubLeaseLost": {f'hubbub_lease_renewals_total{{{NODE},outcome="lost"}}': "0x50 1x10"},
    "HubbubLoopLate": slow("hubbub_loop_lag_seconds"),
    "HubbubLoopBlocked": {f"hubbub_loop_blocked_total{{{NODE}}}": "0+1x60"},
    "HubbubHandlersFail": {f"hubbub_handlers_failed_total{{{NODE}}}": "0+1x60"},
    "HubbubSlowReaders": {
        f"hubbub_connections_too_slow_total{{{NODE}}}": "0+1x60",
        f"hubbub_connections{{{NODE}}}": "1000x60",
    },
    "HubbubConnectionsLost": {
        f'hubbub_connections_closed_total{{{NODE},by="client",code="1006"}}': "0+30x60",
        f"hubbub_connections{{{NODE}}}": "1000x60",
    },
    "HubbubHandshakesRefused": {
        f'hubbub_handshakes_total{{{NODE},outcome="accepted"}}': "0+2x60",
        f'hubbub_handshakes_total{{{NODE},outcome="origin"}}': "0+1x60",
    },
    "HubbubFull": {f'hubbub_handshakes_total{{{NODE},outcome="full"}}': "0x50 1x10"},
    "HubbubDescriptorsRunOut": {
        f"hubbub_process_open_fds{{{NODE}}}": "19000x60",
        f"hubbub_process_max_fds{{{NODE}}}": "20000x60",
    },
    "HubbubForgedCredentials": {f'hubbub_credentials_rejected_total{{{NODE},fault="signature"}}': "0+1x60"},
}

WELL: dict[str, str] = {
    'hubbub_workers{state="silent"}': "0x120",
    'hubbub_workers{state="failed"}': "0x120",
    'hubbub_workers{state="answered"}': "3x120",
    "hubbub_scrape_complete": "1x120",
    f"hubbub_ready{{{NODE}}}": "1x120",
    f"hubbub_broker_ready{{{NODE}}}": "1x120",
    f"hubbub_broker_deaf_total{{{NODE}}}": "7x120",
    **fast("hubbub_broker_round_trip_seconds"),
    **fast("hubbub_publish_to_delivery_seconds"),
    **fast("hubbub_loop_lag_seconds"),
    f"hubbub_publishes_waiting{{{NODE}}}": "0x120",
    f"hubbub_gaps_total{{{NODE}}}": "3x120",
    f'hubbub_resumes_total{{{NODE},outcome="complete"}}': "0+99x120",
    f'hubbub_resumes_total{{{NODE},outcome="incomplete"}}': "0+1x120",
    f'hubbub_lease_renewals_total{{{NODE},outcome="lost"}}': "1x120",
    f"hubbub_loop_blocked_total{{{NODE}}}": "2x120",
    f"hubbub_handlers_failed_total{{{NODE}}}": "2x120",
    f"hubbub_connections_too_slow_total{{{NODE}}}": "0x40 1x80",
    f"hubbub_connections{{{NODE}}}": "1000x120",
    f'hubbub_connections_closed_total{{{NODE},by="client",code="1006"}}': "0+5x120",
    f'hubbub_handshakes_total{{{NODE},outcome="accepted"}}': "0+9x120",
    f'hubbub_handshakes_total{{{NODE},outcome="origin"}}': "0+1x120",
    f'hubbub_handshakes_total{{{NODE},outcome="full"}}': "0x120",
    f"hubbub_process_open_fds{{{NODE}}}": "9000x120",
    f"hubbub_process_max_fds{{{NODE}}}": "20000x120",
    f'hubbub_credentials_rejected_total{{{NODE},fault="expired"}}': "0+9x120",
}


def test_the_rules_can_be_read_and_each_has_its_bad_series() -> None:
    promtool("check", "rules", str(ALERTS))
    assert re.findall(r"- alert: (\w+)", ALERTS.read_text()) == list(BAD)


def test_each_alert_fires_on_what_is_bad_and_none_on_what_is_well(tmp_path: Path) -> None:
    firing = 'count(ALERTS{alertname="%s",alertstate="firing"})'
    tests = [_case(firing % alert, bad, fires=True, at=_when(alert)) for alert, bad in BAD.items()]
    tests += [_case("count(ALERTS)", WELL, fires=False, at=minutes) for minutes in ("5m", "15m", "30m")]
    written = tmp_path / "alerts.test.yml"
    written.write_text(json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "15s", "tests": tests}))
    assert "SUCCESS" in promtool("test", "rules", str(written))


def _when(alert: str) -> str:
    return "30m" if alert == "HubbubResumesIncomplete" else "14m"


def _case(expression: str, series: dict[str, str], *, fires: bool, at: str) -> dict[str, object]:
    expected = [{"labels": "{}", "value": 1}] if fires else []
    return {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": expression, "eval_time": at, "exp_samples": expected}],
    }
