// The last five minutes of the cluster's numbers, in the columns that uPlot takes, and a colour for each worker.

import { shade } from "./dom.js";

const KEPT = 150;
const EVERY = 2_000;
const MISSING = 2.5 * EVERY; // a longer silence is a gap in the lines, not a straight line across it
const COLOURS = 8;

export class Samples {
  constructor() {
    this.rows = []; // {at, seq, workers: Map of node → worker}, or one without workers where nothing came
    this.colours = new Map(); // node → number of a colour
  }

  get nodes() {
    return [...this.colours.keys()];
  }

  // True where a worker came, or went out of the window.
  add({ seq, at, workers }) {
    const last = this.rows.at(-1);
    if (last && at <= last.at) return false; // a second producer for a moment, while the lease moves
    if (last && at - last.at > MISSING) this.rows.push({ at: last.at + EVERY, seq: null, workers: new Map() });
    this.rows.push({ at, seq, workers: new Map(workers.map((worker) => [worker.node, worker])) });
    while (this.rows.length > KEPT) this.rows.shift();
    return this.#colour();
  }

  // Seconds, then one column per node.
  columns(value) {
    const times = this.rows.map(({ at }) => at / 1000);
    const column = (node) => this.rows.map(({ workers }) => (workers.has(node) ? value(workers.get(node)) : null));
    return [times, ...this.nodes.map(column)];
  }

  // By the node's name, so that tabs mostly agree; the next free one where two names meet. Kept while the node is seen.
  #colour() {
    const seen = new Set(this.rows.flatMap(({ workers }) => [...workers.keys()]));
    const gone = this.nodes.filter((node) => !seen.has(node));
    for (const node of gone) this.colours.delete(node);
    const fresh = [...seen].filter((node) => !this.colours.has(node)).sort();
    for (const node of fresh) {
      const taken = new Set(this.colours.values());
      let colour = shade(node, COLOURS);
      for (let tries = 0; taken.has(colour) && tries < COLOURS; tries += 1) colour = (colour + 1) % COLOURS;
      this.colours.set(node, colour);
    }
    return gone.length + fresh.length > 0;
  }
}
