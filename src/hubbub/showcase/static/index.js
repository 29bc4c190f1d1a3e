// The start page's numbers, asked for every few seconds while somebody looks.

const EVERY = 3_000;
const stale = document.querySelector("#stale");

async function refresh() {
  if (document.visibilityState !== "visible") return;
  try {
    const response = await fetch("/stats");
    if (!response.ok) throw new Error(response.statusText);
    show(await response.json());
    stale.textContent = "";
  } catch {
    stale.textContent = "No answer from the server; these numbers are old.";
  }
}

function show({ connections, users, rooms, workers }) {
  const figures = { connections, users, rooms, workers: workers.length };
  for (const [id, figure] of Object.entries(figures)) document.getElementById(id).textContent = figure.toLocaleString();
  document.querySelector("#nodes").replaceChildren(...workers.map(node));
}

function node({ node, pid, connections }) {
  const item = document.createElement("li");
  const name = document.createElement("b");
  name.className = "node";
  name.textContent = node;
  item.append(name, ` process ${pid}, ${connections} ${connections === 1 ? "connection" : "connections"}`);
  return item;
}

refresh();
setInterval(refresh, EVERY);
document.addEventListener("visibilitychange", refresh);
