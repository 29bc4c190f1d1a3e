// Elements from values. What people wrote goes in as text nodes, so no name and no message can become markup.

export const $ = (selector) => document.querySelector(selector);

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function button(label, onClick, attributes = {}) {
  const element = make("button", { type: "button", ...attributes }, label);
  element.addEventListener("click", onClick);
  return element;
}

// A table that says what it is, and scrolls by itself where it is too wide. A row is a list of cells: text, a node, or
// { value, number: true }.
export function table(caption, columns, rows, { empty = "Nothing here." } = {}) {
  if (!rows.length) return make("p", { class: "hint" }, empty);
  const head = make("tr", {}, ...columns.map((name, at) => make("th", { scope: "col", class: rows[0][at]?.number ? "number" : null }, name)));
  const body = rows.map((row) =>
    make("tr", {}, ...row.map((cell, at) => {
      // A button has a value too, of its own.
      const value = cell instanceof Node ? cell : cell?.value ?? cell ?? "";
      const attributes = { "data-label": columns[at], class: cell?.number ? "number" : null };
      return at ? make("td", attributes, value) : make("th", { scope: "row", ...attributes }, value);
    })));
  const whole = make("table", {}, make("caption", {}, caption), make("thead", {}, head), make("tbody", {}, ...body));
  return make("div", { class: "scrolls", tabindex: "0", role: "region", "aria-label": caption }, whole);
}

export const number = (value, text) => ({ value: text ?? (value === null || value === undefined ? "–" : count(value)), number: true });

export const count = (value) => Math.round(value).toLocaleString("en");

export function rate(value) {
  if (value === null || value === undefined) return "–";
  return value >= 10 || value === 0 ? count(value) : value.toFixed(1);
}

export function bytes(value) {
  if (value === null || value === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value >= 10 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value < 1) return `${+(value * 1000).toPrecision(2)} ms`;
  if (value < 120) return `${+value.toPrecision(2)} s`;
  const hours = Math.floor(value / 3600);
  return hours < 48 ? `${hours} h ${Math.floor((value % 3600) / 60)} min` : `${Math.floor(hours / 24)} days`;
}

export const clock = (at) =>
  new Date(at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
