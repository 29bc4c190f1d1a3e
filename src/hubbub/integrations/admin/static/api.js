// What the server is asked, and in which words it is said where that fails.

export class Failed extends Error {
  constructor(status, message, retryAfter) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

const TAKES = 15_000; // milliseconds

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
    socket.onmessage = (event) => {
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
    socket.onclose = (event) => {
      if (this.ended) return;
      if (event.code === 4001) return this.out(event.reason);
      this.poll(opened ? null : "Live updates do not get through; asking instead");
      const wait = Math.random() * Math.min(20_000, 500 * 2 ** Math.min(this.attempt++, 10));
      this.again = setTimeout(() => this.connect(), 500 + wait);
    };
  }

  // Between two connections nobody is to look at old numbers without knowing.
  poll(why) {
    if (this.polling) return;
    const look = async () => {
      try {
        this.heard(await ask("api/overview"));
        this.state("polling", why ?? "Asking every few seconds");
      } catch (error) {
        if (error.status === 401) return this.out("");
        this.state("away", error.message);
      }
    };
    this.polling = setInterval(look, 4_000);
    look();
  }

  stopPolling() {
    clearInterval(this.polling);
    this.polling = null;
  }

  close() {
    this.ended = true;
    this.stopPolling();
    clearTimeout(this.again);
    this.socket.close();
  }
}
