// Elements from values. What people wrote goes in as text nodes, so no message can become markup.

export const $ = (selector) => document.querySelector(selector);

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

export function button(label, onClick, attributes = {}) {
  const element = make("button", { type: "button", ...attributes }, label);
  element.addEventListener("click", onClick);
  return element;
}

// Hours and minutes, or down to the second.
export function clock(at, { seconds = false } = {}) {
  const parts = { hour: "2-digit", minute: "2-digit", second: seconds ? "2-digit" : undefined, hourCycle: "h23" };
  return new Date(at).toLocaleTimeString([], parts);
}

// A stable small number for a name: the same person has the same colour in every tab.
export function shade(name, count) {
  let hash = 2166136261; // FNV-1a
  for (const char of name) hash = Math.imul(hash ^ char.codePointAt(0), 16777619);
  return (hash >>> 0) % count;
}
