// The frame: who is asking, whether what is seen is fresh, and which page the address names.
import { html, render } from "./preact-htm.js";
import { changed, drawsWith, follow, isStale, mayOperate, say, signedIn, signIn, signOut, state, stayConnected } from "./link.js";
import { Overview } from "./overview.js";
import { PAGES } from "./pages.js";
import { RoutePage } from "./route.js";

const CLOCK_MS = 1_000;

// #/ · #/?q=price&show=attention · #/route/prices/shadow · #/policy
function place() {
  const [path, query = ""] = location.hash.replace(/^#/, "").split("?");
  const [, page = "", name = "", tab = ""] = path.split("/");
  let route = "";
  try { route = decodeURIComponent(name); } catch { /* no such name */ }
  return { page, route: page === "route" ? route : "", tab, query: new URLSearchParams(query) };
}

const go = (hash) => { history.replaceState(null, "", hash); changed(); };

function SignIn() {
  const submit = (event) => {
    event.preventDefault();
    signIn(event.target.elements.token.value);
    event.target.reset();
  };
  return html`<main class="narrow"><h1>Sign in</h1><form onSubmit=${submit}>
    <label>Token <input id="token" name="token" type="password" autocomplete="current-password" required class="wide" /></label>
    <p class="soft">One of <code>admin.tokens</code> in the policy. It stays in this tab until you sign out or close it.</p>
    <button class="primary">Sign in</button></form></main>`;
}

function Frame() {
  const { page, route, tab, query } = place();
  const stale = isStale() && !state.needsToken && state.session;
  const { session, message } = state;
  const [, , Page] = PAGES.find(([name]) => name === page) ?? [page, "", Overview];
  return html`
    <a class="skip" href="#app" onClick=${(e) => { e.preventDefault(); document.querySelector("main")?.focus(); }}>Skip to content</a>
    <header><a class="brand" href="#/">Rampway</a>
      <nav aria-label="Pages">${PAGES.filter(([, , , may]) => may()).map(([name, label]) => html`<a key=${name} href=${`#/${name}`} aria-current=${page === name ? "page" : undefined}>${label}</a>`)}</nav>
      <span class="who">${session ? html`${session.name} <span class="soft">(${session.role}${mayOperate() ? "" : ", read only"})</span>` : ""}
      ${signedIn() ? html` <button type="button" onClick=${signOut}>Sign out</button>` : ""}</span></header>
    ${stale ? html`<p class="banner bad" role="alert">No news from the router${state.heard ? " for more than 12 s" : ""}: what you see may be old, and actions are off.</p>` : ""}
    ${message ? html`<p class=${`banner ${message.tone}`} role="status">${message.text} ${message.connection ? "" : html`<button type="button" onClick=${() => say("")}>Close</button>`}</p>` : ""}
    ${state.needsToken ? html`<${SignIn} />` : page === "route" ? html`<${RoutePage} key=${route} route=${route} tab=${tab} query=${query} go=${go} />`
      : html`<${Page} key=${page} query=${query} go=${go} />`}`;
}

function mood() {
  const back = [...state.routes.values()].some((one) => one.attention?.kind === "taken_back");
  document.title = `${back ? "✕ taken back · " : ""}${place().route ? `${place().route} · ` : ""}Rampway`;
  document.getElementById("icon").href = back ? "/static/icon-bad.svg" : "/static/icon.svg";
}

const root = document.getElementById("app");
drawsWith(() => { render(html`<${Frame} />`, root); mood(); });
const moved = () => { follow(place().route); changed(); };
addEventListener("hashchange", moved);
setInterval(changed, CLOCK_MS);
moved();
stayConnected();
