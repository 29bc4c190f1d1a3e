// When to come back after a close, and whether: the table of closes.py. A code that is not here: with backoff.
export const CLOSES = {
  1000: "never",
  1003: "never",
  1007: "never",
  1008: "never",
  1009: "never",
  1011: "backoff",
  1012: "after_retry",
  1013: "backoff",
  4001: "new_credential",
  4002: "backoff",
  4003: "never",
  4004: "never",
  4005: "new_credential",
  4006: "at_once",
  4007: "at_once",
};

// Milliseconds.
const FIRST_DELAY = 500;
const DELAY_CEILING = 20_000;
const STEADY_AFTER = 10_000; // a connection that lived this long starts the delays from the beginning
const RESTART = 5_000; // a server that restarts and does not say when to come back

export function comesBack(code) {
  return CLOSES[code] ?? "backoff";
}

export class Backoff {
  constructor() {
    this.attempt = 0;
  }

  // The delay before the next attempt, after a close with this code of a connection that was welcome for `lived`.
  // `retryAfter`: what `closing` said, which each client is told for itself.
  //
  // Full jitter, so that a crowd that lost its server together does not come back together. A restart is no sign that
  // all is well again: it leaves the attempts counted, or a server that restarts in a circle would be stormed.
  next(code, { lived, retryAfter }) {
    if (lived >= STEADY_AFTER && code !== 1012) this.attempt = 0;
    if (Number.isFinite(retryAfter)) return Math.max(0, retryAfter);
    const then = comesBack(code);
    const first = this.attempt === 0;
    const ceiling = Math.min(DELAY_CEILING, FIRST_DELAY * 2 ** Math.min(this.attempt, 16));
    this.attempt += 1;
    if (first && then === "at_once") return 0; // and when that did not help: like everyone else
    return Math.random() * (then === "after_retry" ? Math.max(RESTART, ceiling) : ceiling);
  }
}
