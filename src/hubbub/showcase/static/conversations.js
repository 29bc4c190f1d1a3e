// What the chat knows, without a word about how it looks: conversations, their lines and members, who is online.

const KEPT_LINES = 500;

// A line is {from, content, at, own, old} or, where nobody said it, {notice, at}. `at` is null where nobody knows when,
// and `old` is a message from before this tab was here.
class Conversation {
  constructor(kind, name) {
    this.kind = kind; // "everyone", "room" or "direct"
    this.name = name;
    this.lines = [];
    this.unread = 0;
    this.members = new Set();
    this.joined = kind !== "room";
  }

  get title() {
    return this.kind === "everyone" ? "Everyone" : this.name;
  }
}

export class Conversations {
  constructor() {
    this.all = new Map();
    this.everyone = this.open("everyone", "");
    this.current = this.everyone;
    this.online = new Set();
  }

  find(kind, name) {
    return this.all.get(`${kind}:${name}`);
  }

  open(kind, name) {
    const known = this.find(kind, name);
    if (known) return known;
    const conversation = new Conversation(kind, name);
    this.all.set(`${kind}:${name}`, conversation);
    return conversation;
  }

  remove(conversation) {
    this.all.delete(`${conversation.kind}:${conversation.name}`);
    if (this.current === conversation) this.current = this.everyone;
  }

  list(kind) {
    return [...this.all.values()].filter((one) => one.kind === kind);
  }

  select(conversation) {
    this.current = conversation;
    conversation.unread = 0;
  }

  // `seen`: somebody is looking at this page.
  add(conversation, line, { seen }) {
    line.at ??= "at" in line ? null : Date.now();
    conversation.lines.push(line);
    if (conversation.lines.length > KEPT_LINES) conversation.lines.shift();
    if (!line.notice && !line.own && !line.old && !(seen && conversation === this.current)) conversation.unread += 1;
  }

  unread({ except = null } = {}) {
    return [...this.all.values()].reduce((sum, one) => sum + (one === except ? 0 : one.unread), 0);
  }

  // After a reconnect nothing is known of the others until the rooms are joined again.
  startOver(me) {
    this.online = new Set([me]);
    for (const room of this.list("room")) room.joined = false;
  }

  joined(room, members) {
    room.joined = true;
    room.members = new Set(members);
    for (const member of members) this.online.add(member);
  }
}
