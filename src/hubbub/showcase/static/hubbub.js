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
import { HubError, Replies } from "./replies.js";

export { CLOSES, HubError };

const SUBPROTOCOL = "hubbub.v1";
// Many who come and go are told in one message: `presence_diff` and `users_diff`.
const FEATURES = "hubbub.features.diff";
const UNKNOWN_OUTCOME = new Set(["offline", "lost", "timeout"]);
const PASSING = new Set([...UNKNOWN_OUTCOME, "rate_limited", "unavailable", "internal"]);

// Milliseconds.
const WELCOME_TIMEOUT = 10_000;
const PROBE_TIMEOUT = 4_000;
const SLACK = 2_000;

// Rooms of one `join_room`: with the longest names they are less than a server reads of one message.
const AT_ONCE = 128;

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
    this.replies = new Replies();
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

  // Resolves with the reply (`ack`, `pong`, `room_joined`, `room_left`), rejects with a HubError. `timeout`: milliseconds
  // until that, where nothing came. The other options are those of Replies.
  send(message, options = {}) {
    if (this.status.state !== "online") {
      return Promise.reject(new HubError("offline", "There is no connection right now; nothing was sent."));
    }
    const id = ++this.lastId;
    const reply = this.replies.expect(id, options);
    this.#write({ ...message, id });
    return reply;
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
    const protocols = [SUBPROTOCOL, FEATURES];
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
    const answered = this.replies.heard(message);
    if (message.type === "ping") return this.#write({ type: "pong", ts: message.ts });
    if (message.type === "welcome") this.#welcome(message);
    if (message.type === "closing") this.closing = message;
    if (message.type === "room_left" && message.id === undefined) this.rooms.delete(message.room);
    const place = this.rooms.get(message.room);
    if (message.type === "gap" && place) this.#settle(message.room, place.missed(message));
    else if (message.type !== "room_joined" && place?.takes(message) === false) return;
    this.#tell("message", message);
    for (const call of answered) call(message);
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
    const { asked, answered } = this.#asking(room);
    return this.send({ type: "join_room", ...asked }, { answered, patient: true });
  }

  // One reply for each.
  #joinSeveral(rooms) {
    const id = ++this.lastId;
    const asking = rooms.map((room) => this.#asking(room));
    this.#write({ type: "join_room", rooms: asking.map(({ asked }) => asked), id });
    return asking.map(({ asked: { room }, answered }) => this.replies.expect(id, { room, answered, patient: true }));
  }

  // What `join_room` says of a room, and what becomes of the answer.
  #asking(room) {
    const place = this.rooms.get(room);
    const { since } = place;
    const answered = (reply) => this.rooms.get(room) === place && this.#settle(room, place.joined(reply, since));
    return { asked: { room, ...(since && { since }) }, answered };
  }

  #settle(room, { lost, again }) {
    if (lost) this.#tell("lost", { room });
    if (again) this.#rejoin([room]);
  }

  // Many at once, and as many messages, one after the other, as it takes.
  async #rejoin(rooms) {
    const { socket } = this;
    for (let at = 0; at < rooms.length && this.socket === socket; at += AT_ONCE) {
      const some = rooms.slice(at, at + AT_ONCE).filter((room) => this.rooms.has(room)); // not left meanwhile
      await this.#rejoinSome(some, { several: some.length > 1 });
    }
  }

  async #rejoinSome(rooms, { several }) {
    const { socket } = this;
    const replies = several ? this.#joinSeveral(rooms) : rooms.map((room) => this.#join(room));
    const errors = (await Promise.allSettled(replies)).map(({ reason }) => reason);
    if (this.socket !== socket) return;
    if (several && errors.every((error) => error?.code === "invalid_message")) {
      // A server that knows no lists: an older one, while it is replaced. It lets only so many messages wait.
      for (const room of rooms) if (this.rooms.has(room)) await this.#rejoinSome([room], { several: false });
      return;
    }
    for (const [at, room] of rooms.entries()) {
      const error = errors[at];
      if (!error || !this.rooms.has(room)) continue;
      if (PASSING.has(error.code)) return this.#giveUp(error.message); // it may be ours: come back and ask again
      this.rooms.delete(room);
      this.#tell("message", { type: "room_left", room, reason: error.message });
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
    this.replies.lose();

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
