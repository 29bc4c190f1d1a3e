// The dashboard page: `metrics` messages of the room `dashboard`, drawn by uPlot, a classic script loaded before this.

import { $, clock, make } from "./dom.js";
import { HubClient } from "./hubbub.js";
import { getToken, login, token } from "./login.js";
import { Samples } from "./samples.js";
import { showStatus } from "./status.js";

const { uPlot } = window;
const MIB = 1024 * 1024;
const SHORTEST = 60; // seconds on the time axis, until more has come
const CHART_HEIGHT = 190;
// Workers that do the same lie on one line: each is drawn sparser than the one below it.
const DASHES = [[], [10, 6], [4, 6]];

// `least`: the top of the scale is at least this, so that an idle cluster does not look like a busy one.
const CHARTS = [
  { id: "cpu", value: ({ cpu }) => cpu, least: 10, say: (value) => `${Number(value.toFixed(1))} %` },
  { id: "memory", value: ({ memory }) => memory && memory / MIB, least: 64, say: (value) => `${Math.round(value)}` },
  { id: "connections", value: ({ connections }) => connections, least: 4, say: whole },
];

function whole(value) {
  return value % 1 ? "" : String(value);
}

const hub = new HubClient({
  // Nobody needs to say who they are to look on.
  getToken: (ask) => (token() ? getToken(ask) : login(`viewer-${1000 + Math.floor(Math.random() * 9000)}`)),
});
const samples = new Samples();
let plots = [];
let pointed = null; // the row under the pointer

showStatus(hub);
hub.on("metrics", (message) => {
  const changed = samples.add(message);
  $("#problem").textContent = "";
  $("#seq").textContent = message.seq;
  $("#at").textContent = clock(message.at, { seconds: true });
  $("#count").textContent = message.workers.length;
  if (changed || !plots.length) build();
  else plots.forEach((plot, index) => plot.setData(samples.columns(CHARTS[index].value)));
  table();
});
hub.on("room_left", ({ reason }) => {
  $("#problem").textContent = reason ?? "";
});
hub.join("dashboard");
hub.connect();

function build() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  for (const plot of plots) plot.destroy();
  plots = CHARTS.map((chart) => new uPlot(options(chart, colour), samples.columns(chart.value), $(`#${chart.id}`)));
}

function options({ id, least, say }, colour) {
  const axis = {
    stroke: colour("--quiet"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
    font: `12px ${colour("--font")}`,
  };
  return {
    width: $(`#${id}`).clientWidth,
    height: CHART_HEIGHT,
    legend: { show: false }, // the table below is the legend of all three
    cursor: { sync: { key: "workers" }, drag: { x: false, y: false }, y: false },
    scales: {
      x: { range: shown },
      y: { range: (_, __, max) => [0, Math.max(least, max * 1.15)] },
    },
    axes: [
      { ...axis, size: 30, space: 70, values: (_, times) => times.map(moment) },
      { ...axis, size: 52, space: 34, values: (_, values) => values.map(say) },
    ],
    series: [
      {},
      ...samples.nodes.map((node, index) => {
        const dash = DASHES[index % DASHES.length];
        const stroke = colour(`--shade-${samples.colours.get(node)}`);
        return { label: node, stroke, dash, width: 2, points: { show: false }, spanGaps: false };
      }),
    ],
    hooks: { setCursor: [point] },
  };
}

// From the data and not from what uPlot proposes: for a single sample that is a whole day.
function shown({ data: [times] }) {
  const last = times.at(-1);
  return [Math.min(times[0], last - SHORTEST), last];
}

function moment(time) {
  return clock(time * 1000, { seconds: time % 60 !== 0 });
}

function point(plot) {
  const row = plot.cursor.left >= 0 ? (samples.rows[plot.cursor.idx] ?? null) : null;
  if (row === pointed) return;
  pointed = row;
  table();
}

function table() {
  if (!samples.rows.includes(pointed)) pointed = null;
  const row = pointed ?? samples.rows.at(-1);
  $("#moment").textContent = pointed ? `at ${clock(row.at, { seconds: true })}` : "now";
  const workers = [...row.workers.values()].sort((a, b) => a.node.localeCompare(b.node));
  $("#workers").replaceChildren(...workers.map(line));
}

// A worker that has only just come may not have measured itself yet: its numbers are null.
function line({ node, pid, cpu, memory, connections }) {
  const swatch = make("span", { class: `swatch shade-${samples.colours.get(node)}`, "aria-hidden": "true" });
  return make(
    "tr",
    { "data-testid": "worker", "data-node": node },
    make("th", { scope: "row" }, swatch, make("span", { class: "node" }, node)),
    make("td", { class: "process" }, String(pid)),
    make("td", {}, cpu === null ? "–" : `${cpu.toFixed(1)} %`),
    make("td", {}, memory === null ? "–" : `${(memory / MIB).toFixed(1)} MiB`),
    make("td", {}, String(connections)),
  );
}

new ResizeObserver(() => {
  plots.forEach((plot, index) => {
    const width = $(`#${CHARTS[index].id}`).clientWidth;
    if (width && width !== plot.width) plot.setSize({ width, height: CHART_HEIGHT });
  });
}).observe($(".charts"));

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plots.length && build());
