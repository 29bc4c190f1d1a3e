// The notifications page: start work over HTTP, be told over the socket, in every tab of the same user. What came while
// nobody looked is kept, and listed without popping up.

import { $, button, clock, make } from "./dom.js";
import { HubClient } from "./hubbub.js";
import { Late } from "./late.js";
import { getToken, logout, token, withLogin } from "./login.js";
import { showStatus } from "./status.js";

const TOAST_STAYS = 12_000;
const TOASTS = 4;
const LISTED = 50;
const INBOX = "@me";

const hub = new HubClient({ getToken });
const late = new Late();
const form = $("#work");
const answer = $("#answer");
const problem = form.querySelector(".problem");

withLogin((name) => {
  showStatus(hub);
  $("#me").textContent = name;
  $("#notifications").hidden = false;
  hub.join(INBOX, { history: true });
  hub.connect();
});

hub.on("room_joined", ({ room, offset }) => room === INBOX && late.joined(room, offset));

hub.addEventListener("lost", () => list("Some notices could not be recovered."));

hub.on("certificate_processed", ({ data, offset }) => {
  const sentence = `Certificate ${data.id} is ${data.status}, volume ${data.volume}.`;
  const when = late.when(INBOX, null, offset);
  list(sentence, { id: data.id, at: when === "live" ? Date.now() : null });
  if (when !== "old") toast(data.id, sentence);
});

function list(sentence, { id, at = Date.now() } = {}) {
  $("#nothing").hidden = true;
  const came = $("#came");
  const time =
    at === null
      ? make("span", { class: "hint" }, "earlier")
      : make("time", { datetime: new Date(at).toISOString() }, clock(at, { seconds: true }));
  came.prepend(make("li", { "data-testid": "notice", "data-id": id }, sentence, time));
  while (came.childElementCount > LISTED) came.lastChild.remove();
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  problem.textContent = "";
  answer.textContent = "Working…";
  const field = form.elements.certificate;
  const started = performance.now();
  try {
    const data = await process(field.value);
    const took = Math.round(performance.now() - started);
    answer.textContent = `HTTP answered for certificate ${data.id} in ${took} ms: ${data.status}, volume ${data.volume}.`;
    field.value = Number(field.value) + 1;
  } catch (error) {
    answer.textContent = "";
    problem.textContent = error.message;
  }
});

async function process(id) {
  const ask = () =>
    fetch(`/api/certificates/${encodeURIComponent(id)}/process`, {
      method: "POST",
      headers: { Authorization: `Bearer ${token()}` },
    }).catch(() => {
      throw new Error("The server cannot be reached.");
    });
  let response = await ask();
  if (response.status === 401) {
    await getToken({ renew: true });
    response = await ask();
  }
  if (!response.ok) throw new Error(`The server said no (${response.status}).`);
  return response.json();
}

function toast(id, sentence) {
  const item = make("li", { class: "toast", "data-testid": "toast", "data-id": id });
  const leave = () => item.remove();
  item.append(make("span", {}, sentence), button("Dismiss", leave, { class: "quiet" }));
  const toasts = $("#toasts");
  toasts.append(item);
  while (toasts.childElementCount > TOASTS) toasts.firstElementChild.remove();
  // It waits for a reader: not while the pointer or the focus is on it.
  const timer = setInterval(() => {
    if (item.matches(":hover, :focus-within")) return;
    clearInterval(timer);
    leave();
  }, TOAST_STAYS);
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") $("#toasts").lastElementChild?.remove();
});

$("#logout").addEventListener("click", () => {
  hub.close();
  logout();
  location.reload();
});
