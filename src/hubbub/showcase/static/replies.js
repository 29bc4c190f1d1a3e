// The replies that a client waits for, by the `id` of the request, and where that names several rooms by the room too.

const REPLIES = new Set(["ack", "error", "pong", "room_joined", "room_left"]);
const PATIENCE = 10_000; // milliseconds

// `code` is one of the wire's error codes, or `offline` (not sent), `lost` or `timeout` (sent, nobody knows).
export class HubError extends Error {
  constructor(code, message, details = {}) {
    super(message);
    this.name = "HubError";
    this.code = code;
    this.field = details.field;
    this.retryAfter = details.retry_after;
  }
}

export class Replies {
  constructor() {
    this.waiting = new Map();
    this.heardAt = 0;
  }

  // Resolves with the reply, rejects with a HubError. `answered` is called with the reply before anything that came
  // after it is looked at. `patient`: it is waited for as long as anything comes, for there may be much before it.
  expect(id, { room, timeout = PATIENCE, answered = null, patient = false } = {}) {
    return new Promise((resolve, reject) => {
      const request = { resolve, reject, answered };
      const wait = (since) => {
        request.timer = setTimeout(() => {
          if (patient && this.heardAt > since) return wait(this.heardAt);
          this.waiting.delete(key(id, room));
          reject(new HubError("timeout", "The server did not answer in time."));
        }, since + timeout - Date.now());
      };
      wait(Date.now());
      this.waiting.set(key(id, room), request);
    });
  }

  // Something came. Settles what waited for it, and returns what is to be called when others have seen it.
  heard(message) {
    this.heardAt = Date.now();
    // An application's message may have an `id` of its own: only these types are replies.
    if (!REPLIES.has(message.type)) return [];
    const { id, room, type } = message;
    const keys = [key(id), key(id, room)];
    // A list of rooms that was refused as a whole.
    if (type === "error" && room === undefined) {
      keys.push(...[...this.waiting.keys()].filter((each) => each.startsWith(key(id, ""))));
    }
    return [...new Set(keys)].flatMap((each) => {
      const request = this.#take(each);
      if (type === "error") request?.reject(new HubError(message.code, message.message, message));
      else request?.resolve(message);
      return request?.answered && type !== "error" ? [request.answered] : [];
    });
  }

  // The connection is gone, and what became of the requests nobody knows.
  lose() {
    for (const each of [...this.waiting.keys()]) {
      this.#take(each).reject(new HubError("lost", "The connection was lost before the answer came."));
    }
  }

  #take(each) {
    const request = this.waiting.get(each);
    this.waiting.delete(each);
    clearTimeout(request?.timer);
    return request;
  }
}

const key = (id, room) => (room === undefined ? `${id}` : `${id} ${room}`);
