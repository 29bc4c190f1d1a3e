// Line charts of the last fifteen minutes: the sum of all workers, or each. As SVG, with the same numbers in words and in
// a table for who does not see it.

import { clock, make, table } from "./dom.js";

const NS = "http://www.w3.org/2000/svg";
const WIDTH = 480, HEIGHT = 150, LEFT = 56, BOTTOM = 22, TOP = 10, RIGHT = 8;

function draw(tag, attributes, ...children) {
  const element = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// A round number that is at least this.
export function roundUp(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((each) => each * power).find((each) => each >= value * 0.999);
}

// `lines`: [{ name, points: [[unix, value | null]] }]; `format`: of a value.
export function chart({ title, lines, format, from, to }) {
  const values = lines.flatMap((line) => line.points.map(([, value]) => value)).filter((value) => value !== null);
  const figure = make("figure", { class: "chart" });
  const last = lines.map((line) => line.points.at(-1)?.[1]).filter((value) => value !== null && value !== undefined);
  figure.append(make("figcaption", {}, make("strong", {}, title), " ",
    make("span", { class: "hint" }, last.length ? `now ${lines.length > 1 ? last.map(format).join(" · ") : format(last[0])}` : "nothing yet")));
  if (!values.length) {
    figure.append(make("p", { class: "hint" }, "Samples come every five seconds; the first are on their way."));
    return figure;
  }
  const top = roundUp(Math.max(...values));
  const x = (at) => LEFT + ((at - from) / (to - from)) * (WIDTH - LEFT - RIGHT);
  const y = (value) => TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);
  const svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label":
    `${title}: now ${last.map(format).join(", ") || "unknown"}, at most ${format(Math.max(...values))} in fifteen minutes` });
  for (const share of [0, 0.5, 1]) {
    const at = y(top * share);
    svg.append(draw("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: at, y2: at }));
    svg.append(draw("text", { x: LEFT - 6, y: at + 4, "text-anchor": "end" }, format(top * share)));
  }
  for (const [share, anchor] of [[0, "start"], [0.5, "middle"], [1, "end"]]) {
    const at = from + (to - from) * share;
    svg.append(draw("text", { x: x(at), y: HEIGHT - 5, "text-anchor": anchor }, clock(at).slice(0, 5)));
  }
  lines.forEach((line, number) => {
    const parts = [];
    let open = false;
    for (const [at, value] of line.points) {
      if (value === null) { open = false; continue; }
      parts.push(`${open ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`);
      open = true;
    }
    svg.append(draw("path", { class: `line line-${number % 8}`, d: parts.join("") }));
  });
  figure.append(svg, legend(lines), readOut(svg, lines, format, x), inATable(title, lines, format));
  return figure;
}

function legend(lines) {
  if (lines.length < 2) return "";
  return make("ul", { class: "legend" }, ...lines.map((line, number) =>
    make("li", {}, make("span", { class: `swatch line-${number % 8}`, "aria-hidden": "true" }), line.name)));
}

// What stands under the pointer, or under the arrow keys.
function readOut(svg, lines, format, x) {
  const words = make("p", { class: "hint read-out" });
  const points = lines.find((line) => line.points.length)?.points ?? [];
  const mark = draw("line", { class: "mark", y1: TOP, y2: HEIGHT - BOTTOM, x1: -9, x2: -9 });
  let chosen = points.length - 1;
  svg.append(mark);
  svg.setAttribute("tabindex", "0");
  const show = (at) => {
    chosen = Math.max(0, Math.min(points.length - 1, at));
    const when = points[chosen]?.[0];
    if (when === undefined) return;
    mark.setAttribute("x1", x(when));
    mark.setAttribute("x2", x(when));
    const told = lines.map((line) => {
      const near = line.points.reduce((best, each) => (Math.abs(each[0] - when) < Math.abs(best[0] - when) ? each : best));
      return `${lines.length > 1 ? `${line.name} ` : ""}${near[1] === null ? "–" : format(near[1])}`;
    });
    words.textContent = `${clock(when)}: ${told.join(" · ")}`;
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const wanted = ((event.clientX - box.left) / box.width) * WIDTH;
    show(points.reduce((best, [at], number) => (Math.abs(x(at) - wanted) < Math.abs(x(points[best][0]) - wanted) ? number : best), 0));
  });
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -points.length, End: points.length }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    show(chosen + step);
  });
  return words;
}

function inATable(title, lines, format) {
  const every = 12; // a minute
  const longest = lines.reduce((most, line) => (line.points.length > most.points.length ? line : most), lines[0]);
  const rows = longest.points.filter((_, number) => number % every === 0).reverse().map(([at]) => [
    clock(at),
    ...lines.map((line) => {
      const found = line.points.find((point) => Math.abs(point[0] - at) < 3);
      return { value: found && found[1] !== null ? format(found[1]) : "–", number: true };
    }),
  ]);
  return make("details", {}, make("summary", {}, `${title} as a table`), table(`${title}, a line a minute`, ["at", ...lines.map((line) => line.name)], rows));
}
