// The line in every page's header: how the connection is, which worker answers, and when the next attempt comes.

// From here on the line is shown: somebody who has not logged in is not offline.
export function showStatus(hub) {
  const line = document.querySelector("#status");
  const state = line.querySelector(".state");
  const countdown = line.querySelector(".countdown"); // outside the live region: nobody wants every second read out
  const node = line.querySelector(".node");
  const retry = line.querySelector("button");
  let ticking = null;

  const count = () => {
    const seconds = Math.ceil((hub.status.retryAt - Date.now()) / 1000);
    countdown.textContent = seconds > 0 ? `again in ${seconds} s` : "again now";
  };
  const show = () => {
    const { state: now, retryAt, reason, node: worker } = hub.status;
    line.dataset.state = now;
    state.textContent = now;
    node.textContent = worker ?? "";
    node.hidden = !worker;
    line.title = reason;
    retry.hidden = now !== "offline";
    countdown.textContent = now === "offline" ? reason : "";
    clearInterval(ticking);
    if (now === "offline" && retryAt) {
      count();
      ticking = setInterval(count, 1000);
    }
  };
  retry.addEventListener("click", () => hub.connect());
  hub.addEventListener("status", show);
  show();
  line.hidden = false;
}
