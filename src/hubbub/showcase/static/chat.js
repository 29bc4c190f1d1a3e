// The chat page: what the wire says goes into `Conversations`, what people do goes out, `ChatView` draws.

import { ChatView } from "./chat-view.js";
import { Conversations } from "./conversations.js";
import { $ } from "./dom.js";
import { inWords } from "./errors.js";
import { HubClient } from "./hubbub.js";
import { Late } from "./late.js";
import { getToken, logout, withLogin } from "./login.js";
import { showStatus } from "./status.js";

const ROOMS = "hubbub.rooms"; // survives a reload of this tab
const FIRST_ROOM = "lobby";
const INBOX = "@me"; // what was sent to this user, and is kept
const KEPT = { history: true };
const FEW = 5; // people who are named, where many come or go at once

const hub = new HubClient({ getToken });
const chat = new Conversations();
const late = new Late();
const view = new ChatView(chat, { select, openDirect });

withLogin((name) => {
  showStatus(hub);
  view.me = name;
  $("#chat").hidden = false;
  for (const room of JSON.parse(sessionStorage.getItem(ROOMS)) ?? [FIRST_ROOM]) {
    chat.open("room", room);
    hub.join(room, KEPT);
  }
  hub.join(INBOX, KEPT);
  select(chat.list("room")[0] ?? chat.everyone);
  hub.connect();
  $("#content").focus();
});

// What comes in.

hub.addEventListener("status", ({ detail: { state, user } }) => {
  if (state === "online") {
    if (view.user) add(chat.everyone, { notice: "Connected again. What was said to everyone in between is not kept." });
    view.me = view.user = user;
    view.solved(inWords({ code: "offline" }));
    chat.startOver(user);
    late.startOver();
  }
  view.draw();
});

hub.on("room_joined", ({ room: name, members = [], epoch, offset, recovered }) => {
  const first = late.joined(name, offset);
  if (name === INBOX) return;
  const room = chat.open("room", name);
  const again = !first && !room.joined;
  chat.joined(room, members);
  if (first) {
    view.clear(room); // where it was shown before, what is kept of it comes again
    if (recovered === false && offset) add(room, { notice: "Older messages are no longer kept.", at: null });
  } else if (again) {
    sayLate(name, room, (line) => Object.assign(line, { again, kept: epoch !== undefined }));
  }
  keepRooms();
  view.draw();
});

// Before what is left of it comes.
hub.addEventListener("lost", ({ detail: { room: name } }) => {
  const told = name === INBOX ? chat.list("direct") : [chat.find("room", name)].filter(Boolean);
  for (const conversation of told) {
    sayLate(name, conversation, (line) => (line.lost = true));
  }
});

hub.on("room_left", ({ room: name, reason }) => {
  const room = chat.find("room", name);
  late.forget(name);
  if (!room) return; // left here, on purpose
  room.joined = false;
  room.members.clear();
  add(room, { notice: `You are no longer in this room${reason ? `: ${reason}` : ""}.` });
  keepRooms();
});

hub.on("user_joined_room", ({ room, user }) => cameAndWent(room, { joined: [user] }));
hub.on("user_left_room", ({ room, user }) => cameAndWent(room, { left: [user] }));
hub.on("presence_diff", ({ room, joined, left }) => cameAndWent(room, { joined, left }));

function cameAndWent(name, { joined = [], left = [] }) {
  const room = chat.find("room", name);
  if (!room) return;
  const came = joined.filter((user) => !room.members.has(user));
  const went = left.filter((user) => room.members.delete(user));
  for (const user of came) {
    room.members.add(user);
    chat.online.add(user);
  }
  for (const [users, what] of [[came, "came in"], [went, "left"]]) {
    if (users.length) add(room, { notice: `${users.length > FEW ? `${users.length} people` : users.join(", ")} ${what}` });
  }
}

hub.on("user_connected", ({ user }) => comeAndGone({ connected: [user] }));
hub.on("user_disconnected", ({ user }) => comeAndGone({ disconnected: [user] }));
hub.on("users_diff", ({ connected, disconnected }) => comeAndGone({ connected, disconnected }));

function comeAndGone({ connected = [], disconnected = [] }) {
  for (const user of connected) chat.online.add(user);
  for (const user of disconnected) chat.online.delete(user);
  view.draw();
}

hub.on("room_message", ({ room, from, content, offset }) => {
  const conversation = chat.find("room", room);
  if (conversation) receive(room, conversation, { from, content, offset, own: from === view.me });
});

hub.on("direct_message", ({ from, content, offset }) =>
  receive(INBOX, chat.open("direct", from), { from, content, offset }),
);

hub.on("chat", ({ from, content }) => add(chat.everyone, { from, content, own: from === view.me }));

hub.on("error", (error) => view.problem(inWords(error)));

// What people do.

function select(conversation) {
  chat.select(conversation);
  view.closePanels();
  view.draw();
}

function openDirect(user) {
  select(chat.open("direct", user));
  $("#content").focus();
}

async function attempt(action) {
  view.problem("");
  try {
    return await action();
  } catch (error) {
    view.problem(inWords(error));
    return null;
  }
}

$("#join").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const name = form.elements.room.value.trim();
  if (!name) return;
  if (!chat.find("room", name)?.joined) {
    const reply = await attempt(() => hub.join(name, KEPT));
    if (!reply && !hub.rooms.has(name)) return;
  }
  form.reset();
  select(chat.open("room", name));
  keepRooms();
  $("#content").focus();
});

$("#direct").addEventListener("submit", (event) => {
  event.preventDefault();
  const user = event.target.elements.user.value.trim();
  if (!user) return;
  event.target.reset();
  openDirect(user);
});

$("#leave").addEventListener("click", () => {
  const conversation = chat.current;
  chat.remove(conversation);
  select(chat.current);
  if (conversation.kind === "room") {
    late.forget(conversation.name);
    if (hub.rooms.has(conversation.name)) attempt(() => hub.leave(conversation.name));
  }
  keepRooms();
});

$("#logout").addEventListener("click", () => {
  hub.close();
  logout();
  sessionStorage.removeItem(ROOMS);
  location.reload();
});

const composer = $("#composer");
const field = $("#content");

field.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  composer.requestSubmit();
});

composer.addEventListener("submit", async (event) => {
  event.preventDefault();
  const content = field.value.trim();
  if (!content) return;
  const conversation = chat.current;
  field.value = "";
  if (!(await attempt(() => say(conversation, content))) && !field.value) field.value = content;
});

async function say(conversation, content) {
  const { kind, name } = conversation;
  if (kind === "everyone") return hub.send({ type: "chat", content });
  if (kind === "room") return hub.send({ type: "room_message", room: name, content });
  const { result } = await hub.send({ type: "direct_message", to: name, content });
  const remark = result?.online === false ? `${name} is not online; it will be there when they come back.` : null;
  // A message to oneself comes back as everybody's does.
  if (name !== view.me || remark) add(conversation, { from: view.me, content, own: true, remark });
  return true;
}

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState !== "visible") return;
  chat.select(chat.current);
  view.draw();
});

function add(conversation, line) {
  chat.add(conversation, line, { seen: document.visibilityState === "visible" });
  view.append(conversation);
}

// A message of a place that may keep them: nobody knows at what time a late one was said.
function receive(place, conversation, { offset, ...said }) {
  const when = late.when(place, conversation, offset);
  if (when === "missed") sayLate(place, conversation, (line) => (line.missed += 1));
  if (when !== "live" && said.own && field.value.trim() === said.content) {
    field.value = ""; // it had gone out after all
    view.problem("");
  }
  add(conversation, when === "live" ? said : { ...said, at: null, old: when === "old" });
}

function sayLate(place, conversation, change) {
  const { line, added } = late.line(place, conversation, change);
  if (added) add(conversation, line);
  else view.update(conversation, line);
}

function keepRooms() {
  sessionStorage.setItem(ROOMS, JSON.stringify(chat.list("room").map(({ name }) => name)));
}
