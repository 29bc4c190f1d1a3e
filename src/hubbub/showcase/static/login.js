// Who this tab is. Kept in sessionStorage, not in the cookie that /login sets as well, so that two tabs of one browser
// can be two people.

const NAME = "hubbub.name";
const TOKEN = "hubbub.token";

export function userName() {
  return sessionStorage.getItem(NAME);
}

export function token() {
  return sessionStorage.getItem(TOKEN);
}

// Raises an Error with a sentence for the user.
export async function login(name) {
  let response;
  try {
    response = await fetch("/login", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ name }),
    });
  } catch {
    throw new Error("The server cannot be reached.");
  }
  if (!response.ok) {
    const { detail } = await response.json().catch(() => ({}));
    const sentence = Array.isArray(detail) ? detail[0]?.msg : detail; // FastAPI has a list for a bad body
    throw new Error(sentence ?? `The server said no (${response.status}).`);
  }
  const { token } = await response.json();
  sessionStorage.setItem(NAME, name);
  sessionStorage.setItem(TOKEN, token);
  return token;
}

export function logout() {
  sessionStorage.removeItem(NAME);
  sessionStorage.removeItem(TOKEN);
}

// For HubClient's `getToken`: a refused or expired token is replaced by logging in again under the same name.
export async function getToken({ renew }) {
  const known = token();
  if (known && !renew) return known;
  return userName() ? login(userName()) : null;
}

// Wires the log-in form that chat and notifications share. `start(name)` runs once somebody is logged in, at once where
// this tab already is.
export function withLogin(start) {
  const form = document.querySelector("#login");
  const field = form.elements.name;
  const problem = form.querySelector(".problem");
  const enter = () => {
    form.closest("section").hidden = true;
    start(userName());
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    problem.textContent = "";
    try {
      await login(field.value.trim());
      enter();
    } catch (error) {
      problem.textContent = error.message;
      field.focus();
    }
  });
  if (token()) enter();
  else {
    form.closest("section").hidden = false;
    field.focus();
  }
}
