// A browser's client for the wire `hubbub.v1`: one socket, kept alive, and the rooms it should be in.
//
//   const hub = new HubClient({ getToken: async ({ renew }) => "…" });
//   hub.on("room_message", (message) => …);           // any `type` of the wire
//   hub.addEventListener("status", ({ detail }) => …); // what `hub.status` says, whenever it changes
//   hub.connect();
//   await hub.join("lobby", { history: true });
//   await hub.send({ type: "room_message", room: "lobby", content: "hello" });
//
// After a reconnect each room is joined with the position this tab had reached, and its messages come once and in order.
// What could not be recovered is told: hub.addEventListener("lost", ({ detail: { room } }) => …), then what is left comes.
// A request that was under way when the connection broke is rejected with `lost`: only the server knows its fate.

import { Backoff, CLOSES, comesBack } from "./backoff.js";
import { Place } from "./positions.js";

export { CLOSES };

const SUBPROTOCOL = "hubbub.v1";
const REPLIES = new Set(["ack", "error", "pong", "room_joined", "room_left"]);
const UNKNOWN_OUTCOME = new Set(["offline", "lost", "timeout"]);
const PASSING = new Set([...UNKNOWN_OUTCOME, "rate_limited", "unavailable", "internal"]);

// Milliseconds.
const WELCOME_TIMEOUT = 10_000;
const REQUEST_TIMEOUT = 10_000;
const PROBE_TIMEOUT = 4_000;
const SLACK = 2_000;

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

export class HubClient extends EventTarget {
  // `path`: of the endpoint, on this page's host. `getToken({renew})`: a promise of a token, or of null to stay away;
  // `renew` says that the last one was refused or has expired. Without it the cookie decides, or nobody (a guest).
  constructor({ path = "/ws", getToken = null } = {}) {
    super();
    this.path = path;
    this.getToken = getToken;
    // `state` is "connecting", "online" or "offline"; `retryAt` (Date.now() based) is null where nobody will try.
    this.status = { state: "offline", node: null, user: null, retryAt: null, reason: "" };
    this.rooms = new Map(); // name → Place; "@me" is this user's own
    this.socket = null;
    this.wanted = false;
    this.backoff = new Backoff();
    this.renew = false;
    this.requests = new Map();
    this.lastId = 0;
    this.heartbeat = null;
    this.timers = {};
    this.#watchThePage();
  }

  // Also ends a wait for the next attempt.
  connect() {
    this.wanted = true;
    if (!this.socket) this.#open();
  }

  // Leaves for good: the rooms are forgotten, and nothing reconnects.
  close(reason = "closed here") {
    this.wanted = false;
    this.rooms.clear();
    this.#drop({ code: 1000, reason });
  }

  on(type, listener) {
    this.addEventListener("message", ({ detail }) => {
      if (detail.type === type) listener(detail);
    });
  }

  // Resolves with the reply (`ack`, `pong`, `room_joined`, `room_left`), rejects with a HubError. `answered` is called
  // with the reply before anything that came after it is looked at.
  send(message, { timeout = REQUEST_TIMEOUT, answered = null } = {}) {
    if (this.status.state !== "online") {
      return Promise.reject(new HubError("offline", "There is no connection right now; nothing was sent."));
    }
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.requests.delete(id);
        reject(new HubError("timeout", "The server did not answer in time."));
      }, timeout);
      this.requests.set(id, { resolve, reject, timer, answered });
      this.#write({ ...message, id });
    });
  }

  // Joined now, or, where there is no connection (null), with the next one; and again after every reconnect, until
  // `leave` or until the server says no. What is so at any moment is told by `room_joined` and `room_left`.
  // `history`: what the room keeps comes too.
  async join(room, { history = false } = {}) {
    const known = this.rooms.has(room);
    if (!known) this.rooms.set(room, new Place({ history }));
    if (this.status.state !== "online") return null;
    try {
      return await this.#join(room);
    } catch (error) {
      if (!known && !UNKNOWN_OUTCOME.has(error.code)) this.rooms.delete(room);
      if (error.code === "timeout") this.#giveUp(error.message); // or nobody would know where this tab stands
      throw error;
    }
  }

  async leave(room) {
    this.rooms.delete(room);
    return this.status.state === "online" ? this.send({ type: "leave_room", room }) : null;
  }

  async #open() {
    clearTimeout(this.timers.retry);
    const socket = (this.socket = { close() {} }); // holds the place while the token is fetched
    this.closing = null;
    this.#become({ state: "connecting", node: null, retryAt: null, reason: "" });
    const protocols = [SUBPROTOCOL];
    if (this.getToken) {
      const renew = this.renew;
      this.renew = false;
      let token;
      try {
        token = await this.getToken({ renew });
      } catch (error) {
        this.renew = renew;
        if (this.socket === socket) this.#drop({ code: 1006, reason: error.message });
        return;
      }
      if (this.socket !== socket) return;
      if (!token) return this.#drop({ code: 1000, reason: "log in again" });
      protocols.push(`hubbub.bearer.${token}`);
    }
    this.#listen(protocols);
  }

  #listen(protocols) {
    let socket;
    try {
      socket = new WebSocket(new URL(this.path, location.href.replace(/^http/, "ws")), protocols);
    } catch (error) {
      return this.#drop({ code: 1008, reason: error.message }); // a token that no subprotocol can carry
    }
    this.socket = socket;
    // A socket that was given up may still speak: the browser waits a long while for a dead peer's close.
    const current = (handler) => (event) => this.socket === socket && handler(event);
    socket.addEventListener("message", current((event) => this.#receive(JSON.parse(event.data))));
    socket.addEventListener("close", current((event) => this.#drop(event)));
    this.timers.silence = setTimeout(() => this.#giveUp("no answer"), WELCOME_TIMEOUT);
  }

  #receive(message) {
    if (this.heartbeat) this.#expectSomething();
    if (message.type === "ping") return this.#write({ type: "pong", ts: message.ts });
    if (message.type === "welcome") this.#welcome(message);
    if (message.type === "closing") this.closing = message;
    if (message.type === "room_left" && message.id === undefined) this.rooms.delete(message.room);
    const place = this.rooms.get(message.room);
    if (message.type === "gap" && place) this.#settle(message.room, place.missed(message));
    else if (message.type !== "room_joined" && place?.takes(message) === false) return;
    // An application's message may have an `id` of its own: only these types are replies.
    const request = REPLIES.has(message.type) && this.requests.get(message.id);
    if (request) {
      this.requests.delete(message.id);
      clearTimeout(request.timer);
      if (message.type === "error") request.reject(new HubError(message.code, message.message, message));
      else request.resolve(message);
    }
    this.#tell("message", message);
    if (request && message.type !== "error") request.answered?.(message);
  }

  #welcome({ node, user, heartbeat }) {
    this.heartbeat = heartbeat;
    this.welcomedAt = Date.now();
    this.#expectSomething();
    this.#become({ state: "online", node, user, retryAt: null, reason: "" });
    for (const place of this.rooms.values()) place.unsettle();
    this.#rejoin([...this.rooms.keys()]);
  }

  #join(room) {
    const place = this.rooms.get(room);
    const { since } = place;
    const answered = (reply) => this.rooms.get(room) === place && this.#settle(room, place.joined(reply, since));
    return this.send({ type: "join_room", room, ...(since && { since }) }, { answered });
  }

  #settle(room, { lost, again }) {
    if (lost) this.#tell("lost", { room });
    if (again) this.#rejoin([room]);
  }

  // One after the other: a server lets only so many messages of a connection wait.
  async #rejoin(rooms) {
    const { socket } = this;
    for (const room of rooms) {
      if (!this.rooms.has(room)) continue; // left meanwhile
      try {
        await this.#join(room);
      } catch (error) {
        if (this.socket !== socket) return;
        if (PASSING.has(error.code)) return this.#giveUp(error.message); // it may be ours: come back and ask again
        this.rooms.delete(room);
        this.#tell("message", { type: "room_left", room, reason: error.message });
      }
    }
  }

  #write(message) {
    this.socket.send(JSON.stringify(message));
  }

  // The server pings every `interval`; where nothing at all came for longer than that, nobody is there.
  #expectSomething(within = this.heartbeat.interval + this.heartbeat.timeout + SLACK) {
    clearTimeout(this.timers.silence);
    this.timers.silence = setTimeout(() => this.#giveUp("the server went silent"), within);
  }

  // After sleep or a change of network an open socket proves nothing: any answer will do, but soon.
  #probe() {
    if (this.status.state !== "online") return this.wanted && !this.closing && this.connect(); // unless told when
    this.#write({ type: "ping", ts: Date.now() });
    this.#expectSomething(PROBE_TIMEOUT);
  }

  #giveUp(reason) {
    this.socket?.close();
    this.#drop({ code: 4007, reason });
  }

  #drop({ code, reason }) {
    clearTimeout(this.timers.silence);
    clearTimeout(this.timers.retry);
    const socket = this.socket;
    const lived = this.heartbeat === null ? 0 : Date.now() - this.welcomedAt;
    this.socket = null;
    this.heartbeat = null;
    socket?.close(1000);
    for (const { reject, timer } of this.requests.values()) {
      clearTimeout(timer);
      reject(new HubError("lost", "The connection was lost before the answer came."));
    }
    this.requests.clear();

    const then = this.wanted ? comesBack(code) : "never";
    if (then === "never") {
      this.wanted = false;
      return this.#become({ state: "offline", node: null, retryAt: null, reason: reason || `closed with ${code}` });
    }
    this.renew ||= then === "new_credential";
    const delay = this.backoff.next(code, { lived, retryAfter: this.closing?.retry_after });
    this.timers.retry = setTimeout(() => this.#open(), delay);
    this.#become({ state: "offline", node: null, retryAt: Date.now() + delay, reason: reason || "connection lost" });
  }

  #become(change) {
    this.status = { ...this.status, ...change };
    this.#tell("status", this.status);
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  #watchThePage() {
    addEventListener("online", () => this.#probe());
    addEventListener("offline", () => this.status.state === "online" && this.#probe()); // loopback may well go on
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.#probe();
    });
    // An open socket keeps a page out of the back/forward cache, and a closed tab should leave at once.
    addEventListener("pagehide", () => {
      const wanted = this.wanted;
      this.wanted = false;
      this.#drop({ code: 1000, reason: "page left" });
      this.frozen = wanted;
    });
    addEventListener("pageshow", (event) => {
      if (event.persisted && this.frozen) this.connect();
    });
  }
}
