// The page: who may see it, which view is shown, and what comes live. A view is a function that fills the content and gives
// what is to be done when another takes its place.

import { ask, Live } from "./api.js";
import { $, button, make } from "./dom.js";
import * as views from "./views.js";

const content = $("#content");
let live = null;
let shown = { end() {} };
let newest = null;
// Whether there is a key to log in with: without, it is the application that lets operators in.
let byKey = true;

const ROUTES = [
  [/^$/, views.overview, "Overview"],
  [/^rooms$/, views.rooms, "Rooms"],
  [/^rooms\/(.+)$/, views.room, "Rooms"],
  [/^users$/, views.users, "Users"],
  [/^users\/(.+)$/, views.user, "Users"],
  [/^slow$/, views.slow, "Slow readers"],
  [/^publish(?:\?.*)?$/, views.publish, "Publish"],
];

// For a view: what it may ask, say and hear.
const page = {
  async ask(path, options) {
    try {
      return await ask(path, options);
    } catch (error) {
      if (error.status === 401) logIn("Your session has ended: log in again.");
      throw error;
    }
  },
  confirm,
  get newest() { return newest; },
};

// A link that somebody has typed may be none.
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function route() {
  if (!live) return;
  const path = location.hash.replace(/^#\/?/, "");
  const [pattern, view, name] = ROUTES.find(([each]) => each.test(path)) ?? ROUTES[0];
  shown.end();
  const stop = new AbortController();
  const given = (pattern.exec(path) ?? []).slice(1).map(decoded);
  content.replaceChildren();
  const heard = view(content, { ...page, signal: stop.signal, get newest() { return newest; } }, ...given);
  shown = { end: () => stop.abort(), heard };
  if (newest && heard) heard(newest);
  for (const link of document.querySelectorAll("nav a")) {
    if (link.textContent === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${given[0] ?? name} · Hubbub operators`;
}

function enter() {
  $("#bar").hidden = false;
  live = new Live({
    overview(said) {
      newest = said;
      shown.heard?.(said);
    },
    state(kind, words) {
      const state = $("#state");
      if (state.textContent === words) return;
      state.className = `state ${kind}`;
      state.textContent = words;
    },
    out: (why) => logIn(why ? `You were logged out: ${why}.` : "Your session has ended: log in again."),
  });
  route();
}

function logIn(why = "") {
  live?.close();
  live = null;
  shown.end();
  shown = { end() {} };
  newest = null;
  $("#bar").hidden = true;
  document.title = "Log in · Hubbub operators";
  if (!byKey) return refused(why);
  const key = make("input", { id: "key", type: "password", autocomplete: "current-password", required: true });
  const problem = make("p", { class: "problem", role: "alert" }, why);
  const submit = make("button", {}, "Log in");
  const form = make("form", { class: "card login" }, make("h1", {}, "Hubbub operators"),
    make("div", {}, make("label", { for: "key" }, "Key"), key), problem, submit);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    submit.disabled = true;
    problem.textContent = "";
    try {
      await ask("login", { body: { key: key.value } });
      enter();
    } catch (error) {
      const again = error.retryAfter ? ` Try again in ${error.retryAfter} s.` : "";
      problem.textContent = error.message + again;
      submit.disabled = false;
      key.select();
    }
  });
  content.replaceChildren(form);
  key.focus();
}

function refused(why) {
  content.replaceChildren(make("section", { class: "stack" },
    make("p", { class: "problem", role: "alert" }, why || "You are logged out."), button("Try again", begin)));
}

// Whether it is meant: resolved by the dialog, and by Escape with no.
function confirm(title, text, yes) {
  const dialog = $("#ask");
  const before = document.activeElement;
  $("#ask-title").textContent = title;
  $("#ask-text").textContent = text;
  $("#ask-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      before?.focus?.();
      resolve(dialog.returnValue === "yes");
    }, { once: true });
  });
}

$("#leave").addEventListener("click", async () => {
  await ask("logout", { method: "POST" }).catch(() => {});
  logIn("");
});
window.addEventListener("hashchange", () => {
  route();
  content.focus();
});

async function begin() {
  try {
    const session = await ask("session");
    byKey = session.login;
    $("#leave").hidden = !byKey;
    if (session.in || !byKey) enter();
    else logIn();
  } catch (error) {
    refused(error.message);
  }
}

begin();
