// What the server is asked, and in which words it is said where that fails.

export class Failed extends Error {
  constructor(status, message, retryAfter) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

// Milliseconds: for an answer; and without a word on the live socket, where one comes every two seconds.
const TAKES = 15_000, QUIET = 10_000;

// Where the page is, whatever prefix it has.
const base = new URL(".", location.href);

export async function ask(path, { body, signal, method = body === undefined ? "GET" : "POST" } = {}) {
  const limit = AbortSignal.timeout(TAKES);
  let answer;
  try {
    answer = await fetch(new URL(path, base), {
      method,
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Failed(0, "The server does not answer.");
  }
  const said = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (answer.ok) return said;
  throw new Failed(answer.status, inWords(answer, said), Number(answer.headers.get("Retry-After")) || null);
}

function inWords(answer, said) {
  const detail = said?.detail;
  if (Array.isArray(detail)) {
    return detail.map((each) => [each.loc?.slice(1).join("."), each.msg].filter(Boolean).join(": ")).join("; ");
  }
  return typeof detail === "string" ? `${detail[0]?.toUpperCase() ?? ""}${detail.slice(1)}.` : `The server answered ${answer.status}.`;
}

// The overview as it comes: by a WebSocket, or by asking where that does not work. Ends with `close()`.
export class Live {
  constructor({ overview, state, out }) {
    this.heard = overview;
    this.state = state;
    this.out = out;
    this.attempt = 0;
    this.ended = false;
    this.connect();
  }

  connect() {
    const url = new URL("api/live", base);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    let opened = false;
    this.socket = socket;
    const left = (code, reason) => {
      clearTimeout(this.quiet);
      socket.onmessage = socket.onclose = null;
      socket.close();
      if (this.ended) return;
      if (code === 4001) return this.out(reason);
      this.poll(opened ? null : "Live updates do not get through; asking instead");
      const wait = Math.random() * Math.min(20_000, 500 * 2 ** Math.min(this.attempt++, 10));
      this.again = setTimeout(() => this.connect(), 500 + wait);
    };
    // After a sleep, or where a net went away, a line is dead and does not end: what it brought last is no news.
    const listen = () => {
      clearTimeout(this.quiet);
      this.quiet = setTimeout(left, QUIET);
    };
    socket.onmessage = (event) => {
      listen();
      const message = JSON.parse(event.data);
      opened = true;
      this.attempt = 0;
      this.stopPolling();
      if (message.type === "overview") {
        this.state("live", "Live");
        this.heard(message);
      } else {
        this.state("away", `${message.detail}`);
      }
    };
    socket.onclose = (event) => left(event.code, event.reason);
    listen();
  }

  // Between two connections nobody is to look at old numbers without knowing.
  poll(why) {
    if (this.polling) return;
    const polling = this.polling = { again: null };
    const look = async () => {
      let said = null, failed = null;
      try {
        said = await ask("api/overview");
      } catch (error) {
        failed = error;
      }
      if (this.polling !== polling) return; // it comes live again
      if (failed?.status === 401) return this.out("");
      if (failed) this.state("away", failed.message);
      else {
        this.heard(said);
        this.state("polling", why ?? "Asking every few seconds");
      }
      polling.again = setTimeout(look, 4_000);
    };
    look();
  }

  stopPolling() {
    clearTimeout(this.polling?.again);
    this.polling = null;
  }

  close() {
    this.ended = true;
    this.stopPolling();
    clearTimeout(this.again);
    clearTimeout(this.quiet);
    this.socket.close();
  }
}
