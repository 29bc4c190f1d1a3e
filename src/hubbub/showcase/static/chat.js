// The chat page: what the wire says goes into `Conversations`, what people do goes out, `ChatView` draws.

import { ChatView } from "./chat-view.js";
import { Conversations } from "./conversations.js";
import { $ } from "./dom.js";
import { inWords } from "./errors.js";
import { HubClient } from "./hubbub.js";
import { getToken, logout, withLogin } from "./login.js";
import { showStatus } from "./status.js";

const ROOMS = "hubbub.rooms"; // survives a reload of this tab
const FIRST_ROOM = "lobby";

const hub = new HubClient({ getToken });
const chat = new Conversations();
const view = new ChatView(chat, { select, openDirect });

withLogin((name) => {
  showStatus(hub);
  view.me = name;
  $("#chat").hidden = false;
  for (const room of JSON.parse(sessionStorage.getItem(ROOMS)) ?? [FIRST_ROOM]) {
    chat.open("room", room);
    hub.join(room);
  }
  select(chat.list("room")[0] ?? chat.everyone);
  hub.connect();
  $("#content").focus();
});

// What comes in.

hub.addEventListener("status", ({ detail: { state, user } }) => {
  if (state === "online") {
    view.me = user;
    chat.startOver(user);
  }
  view.draw();
});

hub.on("room_joined", ({ room: name, members = [], recovered }) => {
  const room = chat.open("room", name);
  const again = chat.joined(room, members);
  if (again && !recovered) {
    add(room, { notice: "Connected again. What was said in between did not reach this tab." });
  }
  keepRooms();
  view.draw();
});

hub.on("room_left", ({ room: name, reason }) => {
  const room = chat.find("room", name);
  if (!room) return; // left here, on purpose
  room.joined = false;
  room.members.clear();
  add(room, { notice: `You are no longer in this room${reason ? `: ${reason}` : ""}.` });
  keepRooms();
});

hub.on("user_joined_room", ({ room: name, user }) => {
  const room = chat.find("room", name);
  if (!room || room.members.has(user)) return;
  room.members.add(user);
  chat.online.add(user);
  add(room, { notice: `${user} came in` });
});

hub.on("user_left_room", ({ room: name, user }) => {
  const room = chat.find("room", name);
  if (!room?.members.delete(user)) return;
  add(room, { notice: `${user} left` });
});

hub.on("user_connected", ({ user }) => {
  chat.online.add(user);
  view.draw();
});

hub.on("user_disconnected", ({ user }) => {
  chat.online.delete(user);
  view.draw();
});

hub.on("room_message", ({ room, from, content }) => {
  const conversation = chat.find("room", room);
  if (conversation) add(conversation, { from, content, own: from === view.me });
});

hub.on("direct_message", ({ from, content }) => add(chat.open("direct", from), { from, content }));

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
    const reply = await attempt(() => hub.join(name));
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
  if (conversation.kind === "room" && hub.rooms.has(conversation.name)) attempt(() => hub.leave(conversation.name));
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
  const remark = result?.online === false ? `${name} is not online; nobody got this.` : null;
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

function keepRooms() {
  sessionStorage.setItem(ROOMS, JSON.stringify(chat.list("room").map(({ name }) => name)));
}
