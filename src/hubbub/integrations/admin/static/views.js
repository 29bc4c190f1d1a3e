// The views. Each fills `content`, asks by `page`, and gives a function that is told of every new overview, where it wants.

import { chart } from "./charts.js";
import { button, bytes, clock, count, make, number, rate, seconds, table } from "./dom.js";

const PAGE = 100;
const SHOWN = 1000; // rows of a table

function failed(where, error) {
  if (error.name === "AbortError") return;
  where.replaceChildren(make("p", { class: "problem", role: "alert" }, error.message));
}

function section(title, ...children) {
  return make("section", { "aria-label": title }, make("h2", {}, title), ...children);
}

function gone(said) {
  const workers = [...(said.silent ?? []), ...(said.failed ?? [])];
  return workers.length ? `no answer from ${workers.join(", ")}.` : "";
}

function missing(said) {
  return gone(said) ? make("p", { class: "problem" }, `Not all is here: ${gone(said)}`) : "";
}

function more(said, words) {
  return said.more ? make("p", { class: "hint" }, `These are the ${words}; there are more.`) : "";
}

const link = (kind, name) => make("a", { href: `#/${kind}/${encodeURIComponent(name)}`, class: "name" }, name);

// Overview

const CHARTS = [
  ["Connections", count, ["connections"]],
  ["Messages a second", rate, ["messages_in", "messages_out"]],
  ["Bytes a second", bytes, ["bytes_in", "bytes_out"]],
  ["Late event loop, at most", seconds, ["lag"], Math.max],
  ["Broker there and back", seconds, ["round_trip"], Math.max],
  ["Refused a second", rate, ["refused"]],
];
const NAMES = { messages_in: "in", messages_out: "out", bytes_in: "in", bytes_out: "out" };

export function overview(content, page) {
  const numbers = make("dl", { class: "numbers" });
  const workers = section("Workers");
  const charts = make("div", { class: "charts" });
  const refusals = section("Refused and closed");
  content.append(make("h1", {}, "Overview"), numbers, workers,
    make("section", { "aria-label": "The last fifteen minutes" }, make("h2", {}, "The last fifteen minutes"), charts), refusals);
  let drawn = 0;

  const draw = async () => {
    try {
      const said = await page.ask("api/samples", { signal: page.signal });
      const from = Date.now() / 1000 - said.keep, to = Date.now() / 1000;
      const open = new Set([...charts.querySelectorAll("details[open] > summary")].map((each) => each.textContent));
      if (charts.contains(document.activeElement) && document.activeElement.tagName === "svg") return; // somebody reads it
      charts.replaceChildren(...CHARTS.map(([title, format, keys, together = (...all) => all.reduce((a, b) => a + b, 0)]) =>
        chart({ title, format, from, to, lines: keys.map((key) => ({ name: NAMES[key] ?? title, points: merged(said, key, together) })) })));
      for (const summary of charts.querySelectorAll("summary")) summary.parentElement.open = open.has(summary.textContent);
    } catch (error) {
      failed(charts, error);
    }
  };

  return (said) => {
    numbers.replaceChildren(
      ...[["Connections", count(said.connections)], ["Users", count(said.users)], ["Rooms", count(said.rooms)],
        ["Workers", count(said.workers.length), silent(said)], ["Broker there and back", seconds(said.broker.round_trip), said.broker.unready]]
        .map(([name, value, more]) => make("div", {}, make("dt", {}, name), make("dd", {}, value, more ? make("small", { class: "wrong" }, more) : null))));
    workers.replaceChildren(make("h2", {}, "Workers"), table("What each worker does now", ["worker", "state", "connections", "in/s", "out/s", "in", "out", "late loop", "slow readers", "unsent", "CPU", "memory", "up"],
      said.workers.map((worker) => [
        make("span", { class: "name" }, worker.node), state(worker), number(worker.connections),
        number(0, rate(worker.rates?.messages_in)), number(0, rate(worker.rates?.messages_out)),
        number(0, perSecond(worker.rates?.bytes_in)), number(0, perSecond(worker.rates?.bytes_out)),
        number(0, worker.lag === null || worker.lag === undefined ? "–" : `≤ ${seconds(worker.lag)}`), number(worker.slow), number(0, bytes(worker.outbox_bytes)),
        number(0, worker.cpu === null || worker.cpu === undefined ? "–" : `${Math.round(worker.cpu * 100)} %`), number(0, bytes(worker.memory)), number(0, seconds(worker.up)),
      ])));
    refusals.replaceChildren(make("h2", {}, "Refused and closed"), table("By reason, since each worker began", ["what", "why", "in 15 min", "in all"],
      said.refusals.filter((each) => each.total).map((each) => [`${each.what}`, each.reason, number(each.recent), number(each.total)]),
      { empty: "Nobody was refused, and nobody closed." }));
    if (Date.now() - drawn > 4_900) {
      drawn = Date.now();
      draw();
    }
  };
}

const perSecond = (value) => (value === null || value === undefined ? "–" : `${bytes(value)}/s`);

function silent(said) {
  const gone = said.workers.filter((worker) => worker.state !== "answers").length;
  return gone ? `${gone} without an answer` : "";
}

function state(worker) {
  if (worker.state !== "answers") return make("span", { class: "wrong" }, `${worker.state}: ${worker.reason}`);
  return worker.unready ? make("span", { class: "wrong" }, `takes nobody: ${worker.unready}`) : make("span", { class: "well" }, "takes clients");
}

// Of all workers at once: samples that were taken within the same five seconds belong together.
export function merged(said, key, together) {
  const slots = new Map();
  for (const worker of said.workers) {
    for (const sample of worker.samples) {
      const slot = Math.floor(sample.at / said.every);
      if (!slots.has(slot)) slots.set(slot, []);
      slots.get(slot).push(sample[key]);
    }
  }
  return [...slots].sort(([a], [b]) => a - b).map(([slot, values]) => {
    const known = values.filter((value) => value !== null && value !== undefined);
    return [slot * said.every, known.length ? together(...known) : null];
  });
}

// Rooms

export function rooms(content, page) {
  const prefix = make("input", { id: "prefix", type: "search", autocomplete: "off", spellcheck: "false" });
  const order = make("select", { id: "order" }, make("option", { value: "name" }, "by name"), make("option", { value: "size" }, "the largest"));
  const found = make("div", { class: "stack", "aria-live": "polite" });
  const form = make("form", { class: "row", role: "search" },
    make("div", {}, make("label", { for: "prefix" }, "Name begins with"), prefix),
    make("div", {}, make("label", { for: "order" }, "Order"), order), make("button", {}, "Search"));
  let latest = null;
  const look = async (after = null, rows = [], left = 0) => {
    latest?.abort();
    const mine = latest = new AbortController();
    try {
      const asked = new URLSearchParams({ prefix: prefix.value, order: order.value, limit: PAGE, ...(after === null ? {} : { after }) });
      const said = await page.ask(`api/rooms?${asked}`, { signal: AbortSignal.any([page.signal, mine.signal]) });
      const all = [...rows, ...said.rooms].slice(-SHOWN);
      left += rows.length + said.rooms.length - all.length;
      const words = left ? `${count(left + all.length)} rooms with a connection, of which the last ${count(all.length)} are here` : `${count(all.length)} rooms with a connection`;
      found.replaceChildren(table(`${words}${said.more ? ", and more" : ""}`, ["room", "connections"],
        all.map((room) => [link("rooms", room.room), number(room.connections)]), { empty: "No room with a connection begins so." }), missing(said));
      if (said.after !== null) found.append(button("More", () => look(said.after, all, left), { class: "quiet" }));
      else if (said.more) found.append(make("p", { class: "hint" }, `These are the ${PAGE} largest.`));
    } catch (error) {
      failed(found, error);
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    look();
  });
  content.append(make("h1", {}, "Rooms"), make("section", { class: "stack", "aria-label": "Rooms" }, form, found));
  look();
}

export function room(content, page, name) {
  const found = make("div", { class: "stack" }, make("p", { class: "hint" }, "Asking all workers…"));
  content.append(make("p", { class: "crumbs" }, make("a", { href: "#/rooms" }, "All rooms")), make("h1", {}, name), found);
  const look = async () => {
    try {
      const said = await page.ask(`api/rooms/${encodeURIComponent(name)}`, { signal: page.signal });
      const total = said.members_total === null ? "many" : count(said.members_total);
      const who = said.members.length ? make("ul", { class: "names" }, ...said.members.map((user) => make("li", {}, link("users", user))))
        : make("p", { class: "hint" }, "Nobody is in it.");
      const left = said.members_total === null || said.members_total > said.members.length ? make("p", { class: "hint" }, `${said.members.length} of ${total} are shown.`) : "";
      found.replaceChildren(
        make("p", {}, `${count(said.connections)} connections, ${total} members`, said.presence ? "" : " (the room has no presence)"), missing(said),
        section("Members", who, left), history(said.history),
        make("p", { class: "row" }, button("Look again", look, { class: "quiet" }), make("a", { href: `#/publish?room=${encodeURIComponent(name)}` }, "Publish to it")));
    } catch (error) {
      failed(found, error);
    }
  };
  look();
}

function history(kept) {
  if (!kept) return section("History", make("p", { class: "hint" }, "This room keeps none."));
  return section("History", make("p", { class: "hint" }, `Newest first; the last offset is ${kept.offset}.`),
    make("ul", { class: "messages" }, ...kept.messages.map((each) =>
      make("li", {}, make("p", { class: "hint" }, `offset ${each.offset}`), make("pre", { tabindex: "0" }, JSON.stringify(each.message, null, 2))))));
}

// Users

export function users(content) {
  const id = make("input", { id: "user", autocomplete: "off", spellcheck: "false", required: true });
  const form = make("form", { class: "row", role: "search" }, make("div", {}, make("label", { for: "user" }, "User id"), id), make("button", {}, "Show"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    location.hash = `#/users/${encodeURIComponent(id.value)}`;
  });
  content.append(make("h1", {}, "Users"), make("section", { "aria-label": "Find a user" }, form));
  id.focus();
}

export function user(content, page, name) {
  const found = make("div", { class: "stack" }, make("p", { class: "hint" }, "Asking all workers…"));
  const outcome = make("p", { class: "done", role: "status" });
  content.append(make("p", { class: "crumbs" }, make("a", { href: "#/users" }, "Another user")), make("h1", {}, name), outcome, found);
  const close = async (what, path) => {
    if (!(await page.confirm(`Disconnect ${what}?`, `${name} is closed with 4003 and does not come back by itself.`, "Disconnect"))) return;
    try {
      const said = await page.ask(path, { body: { reason: "by an operator" } });
      outcome.textContent = `${count(said.connections)} connections were closed${gone(said) ? `; ${gone(said)}` : "."}`;
      await look();
    } catch (error) {
      failed(found, error);
    }
  };
  const look = async () => {
    try {
      const said = await page.ask(`api/users/${encodeURIComponent(name)}`, { signal: page.signal });
      found.replaceChildren(make("p", {}, said.online ? "Online." : "Not online."), missing(said),
        section("Connections", listed(said.connections, (each) => button("Disconnect", () => close("this connection", `api/connections/${encodeURIComponent(each.connection)}/disconnect`), { class: "quiet", "aria-label": `Disconnect ${each.connection}` })), more(said, `first ${PAGE}`)),
        said.connections.length ? make("p", {}, button(`Disconnect all of ${name}`, () => close(`all connections of ${name}`, `api/users/${encodeURIComponent(name)}/disconnect`), { class: "danger" })) : "");
    } catch (error) {
      failed(found, error);
    }
  };
  look();
}

function listed(connections, act) {
  return table("On all workers", ["connection", "worker", "rooms", "unsent", "address", ""], connections.map((each) => [
    make("span", { class: "name" }, each.connection), make("span", { class: "name" }, each.node),
    make("span", {}, each.rooms.length ? each.rooms.slice(0, 10).join(", ") + (each.rooms_total > 10 ? ` and ${each.rooms_total - 10} more` : "") : "none"),
    number(0, bytes(each.outbox_bytes)), each.address ?? "–", act(each),
  ]), { empty: "No connection on any worker." });
}

// Slow readers

export function slow(content, page) {
  const found = make("div", { class: "stack" });
  content.append(make("h1", {}, "Slow readers"),
    make("p", { class: "hint" }, "Connections for which something waits, the largest first. Who lets more wait than Limits.outbox is closed with 1013."),
    make("section", { "aria-label": "Slow readers" }, found));
  const look = async () => {
    try {
      const said = await page.ask("api/connections?limit=50", { signal: page.signal });
      found.replaceChildren(listed(said.connections, (each) => (each.user === null ? "" : link("users", each.user))), more(said, "50 for which most waits"), missing(said),
        make("p", { class: "hint" }, `As of ${clock(Date.now() / 1000)}. `, button("Look again", look, { class: "quiet" })));
    } catch (error) {
      failed(found, error);
    }
  };
  look();
}

// Publish

export function publish(content, page) {
  const given = new URLSearchParams(location.hash.split("?")[1] ?? "").get("room") ?? "";
  const to = make("select", { id: "to" }, ...["room", "user", "everyone"].map((each) => make("option", { value: each }, each === "everyone" ? "everyone" : `a ${each}`)));
  const name = make("input", { id: "name", autocomplete: "off", spellcheck: "false", value: given });
  const field = make("div", {}, make("label", { for: "name" }, "Its name"), name);
  const message = make("textarea", { id: "message", spellcheck: "false", "aria-describedby": "problem" });
  message.value = '{\n  "type": "notice",\n  "text": "Hello"\n}';
  const problem = make("p", { class: "problem", role: "alert", id: "problem" });
  const outcome = make("p", { class: "done", role: "status" });
  const form = make("form", { class: "stack" },
    make("div", { class: "row" }, make("div", {}, make("label", { for: "to" }, "To"), to), field),
    make("div", {}, make("label", { for: "message" }, "Message, JSON with a type"), message), problem, outcome,
    make("p", {}, make("button", {}, "Publish")));
  to.addEventListener("change", () => { field.hidden = to.value === "everyone"; });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    problem.textContent = outcome.textContent = "";
    let body;
    try {
      body = JSON.parse(message.value);
    } catch (error) {
      problem.textContent = `Not JSON: ${error.message}.`;
      return message.focus();
    }
    if (to.value !== "everyone" && !name.value) {
      problem.textContent = `Which ${to.value}?`;
      return name.focus();
    }
    if (to.value === "everyone" && !(await page.confirm("Publish to everyone?", "Every connection of every worker gets it.", "Publish"))) return;
    try {
      const said = await page.ask("api/publish", { body: { [to.value]: to.value === "everyone" ? true : name.value, message: body } });
      outcome.textContent = said.position ? `Published, and kept at offset ${said.position.offset}.` : "Published.";
    } catch (error) {
      problem.textContent = error.message;
    }
  });
  content.append(make("h1", {}, "Publish"), make("section", { "aria-label": "Publish" }, form));
}
