// How the chat looks. Reads `Conversations`, writes the page, and hands what people do to the given actions:
// select(conversation), openDirect(user).

import { $, button, clock, make, shade } from "./dom.js";

const COLOURS = 8;
const SAME_SPEAKER = 5 * 60_000;
const NEAR_THE_END = 40; // pixels

export class ChatView {
  constructor(chat, actions) {
    this.chat = chat;
    this.actions = actions;
    this.me = null; // by the name that was given, until the server has said who it is
    this.user = null;
    this.items = new WeakMap(); // line → its element, where it is shown
    this.messages = $("#messages");
    this.newest = $("#newest");
    this.shown = null;
    this.newest.addEventListener("click", () => this.#toTheEnd());
    this.messages.addEventListener("scroll", () => {
      if (this.#atTheEnd()) this.newest.hidden = true;
    });
    this.#panels();
  }

  // Everything but the messages is small, and drawn anew whenever something changed.
  draw() {
    const { chat } = this;
    const { current } = chat;
    $("#me").replaceChildren(this.#person(this.me ?? ""));
    this.#list("#rooms", [chat.everyone, ...chat.list("room")].map((one) => this.#entry(one)));
    this.#list("#directs", chat.list("direct").map((one) => this.#entry(one)));
    const inRoom = current.kind === "room";
    $("#members-section").hidden = !inRoom;
    this.#list("#members", inRoom ? this.#people(current.members, "member") : []);
    this.#list("#online", this.#people(chat.online, "online-user"));
    $("#talk-title").textContent = current.title;
    $("#talk-about").textContent = this.#about(current);
    $("#leave").hidden = current.kind === "everyone";
    $("#leave").textContent = inRoom ? "Leave" : "Close";
    const elsewhere = chat.unread({ except: current });
    $("#elsewhere").textContent = elsewhere;
    $("#elsewhere").hidden = elsewhere === 0;
    const unread = chat.unread();
    document.title = `${unread ? `(${unread}) ` : ""}${current.title} · Hubbub`;
    if (this.shown !== current) this.#show(current);
  }

  // The line that was just added to a conversation.
  append(conversation) {
    if (conversation !== this.shown) return this.draw();
    const follow = this.#atTheEnd() || conversation.lines.at(-1).own;
    this.messages.append(this.#line(conversation.lines.at(-1), conversation.lines.at(-2)));
    while (this.messages.childElementCount > conversation.lines.length) this.messages.firstChild.remove();
    if (follow) this.#toTheEnd();
    else this.newest.hidden = false;
    this.draw();
  }

  // A line whose words have changed.
  update(conversation, line) {
    if (conversation === this.shown) this.items.get(line)?.replaceWith(this.#line(line));
  }

  clear(conversation) {
    conversation.lines.length = 0;
    if (conversation === this.shown) this.#show(conversation);
  }

  problem(sentence) {
    $("#composer .problem").textContent = sentence;
  }

  // What was said by `problem` is so no more; anything else that was said stays.
  solved(sentence) {
    if ($("#composer .problem").textContent === sentence) this.problem("");
  }

  closePanels() {
    for (const toggle of document.querySelectorAll("[data-panel]")) this.#panel(toggle, false);
  }

  #show(conversation) {
    this.shown = conversation;
    this.messages.setAttribute("aria-live", "off"); // another conversation is not news
    this.messages.replaceChildren(...conversation.lines.map((line, index, all) => this.#line(line, all[index - 1])));
    requestAnimationFrame(() => this.messages.setAttribute("aria-live", "polite"));
    this.#toTheEnd();
    this.problem("");
  }

  #line(line, before) {
    const item = line.notice ? this.#notice(line) : this.#message(line, before);
    this.items.set(line, item);
    return item;
  }

  #notice(line) {
    const kind = line.lost ? "notice late lost" : line.missed ? "notice late" : "notice";
    return make("li", { class: kind, "data-testid": "notice" }, make("span", {}, line.notice), ...this.#time(line));
  }

  #message(line, before) {
    const item = make(
      "li",
      { class: "message", "data-testid": "message", "data-from": line.from },
      this.#face(line.from),
      make("span", { class: "from" }, line.from),
      ...this.#time(line),
      make("p", { class: "content", "data-testid": "content" }, line.content),
    );
    item.classList.toggle("same", Boolean(before) && before.from === line.from && near(before.at, line.at));
    item.classList.toggle("own", Boolean(line.own));
    if (line.remark) item.append(make("p", { class: "remark", "data-testid": "remark" }, line.remark));
    return item;
  }

  #time({ at }) {
    return at === null ? [] : [make("time", { datetime: new Date(at).toISOString() }, clock(at))];
  }

  #entry(conversation) {
    const { kind, name, title, unread } = conversation;
    const sign = kind === "room" ? "#" : "∗";
    const mark =
      kind === "direct"
        ? this.#face(name, this.chat.online.has(name))
        : make("span", { class: "sign", "aria-hidden": "true" }, sign);
    const entry = button(mark, () => this.actions.select(conversation), {
      class: "entry",
      "aria-current": conversation === this.chat.current && "true",
    });
    entry.append(make("span", { class: "label" }, title));
    if (unread) {
      const spoken = make("span", { class: "visually-hidden" }, " unread");
      entry.append(make("span", { class: "badge", "data-testid": "unread" }, String(unread), spoken));
    }
    return make("li", { "data-testid": `${kind}-entry`, "data-name": name }, entry);
  }

  #people(users, hook) {
    return [...users].sort().map((user) => {
      const attributes = { "data-testid": hook, "data-user": user };
      const person = this.#person(user);
      if (user === this.me) {
        return make("li", attributes, make("span", { class: "entry" }, person, make("i", {}, "you")));
      }
      const write = button(person, () => this.actions.openDirect(user), { class: "entry", title: `Write to ${user}` });
      return make("li", attributes, write);
    });
  }

  #person(user) {
    return make("span", { class: "person" }, this.#face(user), make("span", { class: "label" }, user));
  }

  #face(user, here = false) {
    const initial = [...user][0]?.toUpperCase() ?? "";
    const looks = `face shade-${shade(user, COLOURS)}${here ? " here" : ""}`;
    return make("span", { class: looks, "aria-hidden": "true" }, initial);
  }

  #about({ kind, name, members, joined }) {
    if (kind === "everyone") return "every connected tab";
    if (kind === "direct") return this.chat.online.has(name) ? "online" : "not seen";
    if (!joined) return "not joined";
    return members.size === 1 ? "only you" : `${members.size} people`;
  }

  // Keeps the focus where it was: the entries are new elements after every drawing.
  #list(selector, items) {
    const list = $(selector);
    const focused = list.contains(document.activeElement) && document.activeElement.closest("li");
    const key = focused && (focused.dataset.name ?? focused.dataset.user);
    list.replaceChildren(...items);
    if (!focused) return;
    const again = items.find((item) => (item.dataset.name ?? item.dataset.user) === key);
    again?.querySelector("button")?.focus();
  }

  #atTheEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.messages;
    return scrollHeight - scrollTop - clientHeight < NEAR_THE_END;
  }

  #toTheEnd() {
    this.messages.scrollTop = this.messages.scrollHeight;
    this.newest.hidden = true;
  }

  // On a narrow screen the two lists lie over the messages, one at a time.
  #panels() {
    for (const toggle of document.querySelectorAll("[data-panel]")) {
      toggle.addEventListener("click", () => {
        const open = toggle.getAttribute("aria-expanded") !== "true";
        this.closePanels();
        this.#panel(toggle, open);
        if (open) document.getElementById(toggle.dataset.panel).querySelector("button.entry, input")?.focus();
      });
    }
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      const open = $("[data-panel][aria-expanded=true]");
      this.closePanels();
      open?.focus();
    });
    this.messages.addEventListener("click", () => this.closePanels());
  }

  #panel(toggle, open) {
    toggle.setAttribute("aria-expanded", String(open));
    document.getElementById(toggle.dataset.panel).classList.toggle("open", open);
  }
}

// Both unknown counts as near: they came together.
function near(one, other) {
  return one === null || other === null ? one === other : other - one < SAME_SPEAKER;
}
