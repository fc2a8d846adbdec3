// All routes: one row each, what needs attention first.
import { Component, html, useRef, useState } from "./preact-htm.js";
import { AskFreeze } from "./actions.js";
import { isStale, mayAdmin, mayOperate, post, say, state } from "./link.js";
import { Choice, colours, Split, usePolled } from "./parts.js";
import { moment, NONE, percent, phase, rate, share, tone } from "./words.js";

const HEALTH_MS = 2_000;
const SHOWN = 200; // rows at first, and more at a click; the filter looks through all of them
const URGENT = { taken_back: 0, gate: 1, approval: 2, held: 3, note: 4 };
const urgency = (route) => (route.attention ? URGENT[route.attention.kind] ?? 4 : route.phase && route.phase !== "completed" ? 5 : 6);
const ATTENTION = { taken_back: "taken back", gate: "gate failed", approval: "approval", held: "held", note: "note" };

const seen = async (name) => {
  try { await post("/api/v1/acknowledge", { route: name }); } catch (error) { say(error.message); }
};

class Row extends Component {
  shouldComponentUpdate(next) {
    return next.route !== this.props.route || next.operates !== this.props.operates;
  }

  render({ route, operates }) {
    const { attention } = route;
    const shares = Object.keys(route.shares_bp).length ? route.shares_bp : { [route.stable]: 10_000 };
    const url = `#/route/${encodeURIComponent(route.name)}`;
    const where = route.steps > 1 && route.phase !== "completed" ? ` · step ${route.step} of ${route.steps}` : "";
    return html`<tr class=${attention ? `needs ${attention.kind}` : ""}>
      <th scope="row"><a href=${url}>${route.name}</a></th>
      <td data-heading="State"><span class="badge ${tone(route.health)}">${phase(route.phase)}</span>${where}${route.frozen ? html` <span class="badge hold" title=${route.frozen}>frozen</span>` : ""}</td>
      <td data-heading="Versions">${route.stable}${route.candidate && route.candidate !== route.stable ? ` → ${route.candidate}` : ""}</td>
      <td data-heading="Traffic"><${Split} shares=${shares} colour=${colours(route, Object.keys(shares))} small=${true} />
        <span class="figure">${route.candidate && route.phase !== "completed" ? share(route.weight_bp) : ""}</span></td>
      <td data-heading="Requests" class="r">${route.requests_per_s ? rate(route.requests_per_s) : NONE}</td>
      <td data-heading="Failed" class="r">${route.requests_per_s ? percent(route.error_ratio, 2) : NONE}</td>
      <td data-heading="Why" class="why">${attention ? html`<strong>${ATTENTION[attention.kind] ?? attention.kind}:</strong> ${attention.line}` : route.line}
        ${route.since && attention?.kind === "taken_back" ? html` <span class="soft">${moment(route.since)}</span>` : ""}
        ${attention?.kind === "taken_back" && operates
          ? html` <button type="button" class="seen" aria-label=${`I have seen it: ${route.name}`} onClick=${() => seen(route.name)}>I have seen it</button>` : ""}</td>
    </tr>`;
  }
}

// What needs attention comes first, and no row moves away from under a hand: while the keyboard
// is in the table, the rows keep their order (a moved row would lose the focus as well).
function useOrder(found) {
  const table = useRef(null), places = useRef(new Map());
  const held = table.current?.contains(document.activeElement);
  const place = (route) => places.current.get(route.name) ?? Infinity;
  const order = held
    ? found.toSorted((a, b) => (place(a) === place(b) ? 0 : place(a) - place(b)))
    : found.toSorted((a, b) => urgency(a) - urgency(b)); // stable: the policy's order within
  places.current = new Map(order.map((route, at) => [route.name, at]));
  return [table, order];
}

// What is wrong, as who decides sees it; where a router that follows was asked, with its own troubles.
function Troubles({ health, own }) {
  const { frozen } = health ?? {}, follows = own?.replica ?? "";
  const problems = [...(follows ? own.problems.map((text) => [`router ${follows}`, text]) : []), ...(health?.problems ?? []).map((text) => ["router", text])];
  const until = frozen?.until ? ` until ${moment(frozen.until)}` : "";
  if (!problems.length && !frozen?.actor && !follows) return "";
  return html`<ul class="facts" aria-label="The router itself">${problems.map(([who, text]) => html`<li key=${who + text} class="bad"><strong>${who}:</strong> ${text.split("\n")[0]}</li>`)}
    ${frozen?.actor ? html`<li class="hold"><strong>everything is frozen</strong> by ${frozen.actor}${until}${frozen.reason ? `: ${frozen.reason}` : ""}. No rollout grows; rollbacks go on.</li>` : ""}
    ${follows && own.leader ? html`<li class="soft">router ${follows} was asked; ${own.leader.replica} leads, and answers here</li>` : ""}</ul>`;
}

function FreezeAll({ health }) {
  const [asked, setAsked] = useState(false), frozen = Boolean(health.frozen?.actor);
  return html`<button type="button" class="end" data-verb="freeze-all" disabled=${isStale()} onClick=${() => setAsked(true)}>${frozen ? "End the freeze of everything" : "Freeze everything"}</button>
    ${asked ? html`<${AskFreeze} route="" frozen=${frozen} close=${() => setAsked(false)} />` : ""}`;
}

const SHOWS = [["all", "All"], ["attention", "Needs attention"], ["rollouts", "In a rollout"]];

export function Overview({ query, go }) {
  const [most, setMost] = useState(SHOWN);
  const [health] = usePolled("/api/v1/health", HEALTH_MS), [own] = usePolled("/healthz", HEALTH_MS);
  const wanted = query.get("q") ?? "", show = query.get("show") ?? "all";
  const routes = [...state.routes.values()];
  const text = wanted.toLowerCase();
  const [table, found] = useOrder(routes
    .filter((one) => !text || `${one.name} ${one.stable} ${one.candidate ?? ""} ${one.phase ?? ""}`.toLowerCase().includes(text))
    .filter((one) => (show === "attention" ? one.attention : show === "rollouts" ? one.phase && one.phase !== "completed" : true)));
  const needs = routes.filter((one) => one.attention).length;
  const shown = found.slice(0, most);
  const set = (name, value) => {
    const next = new URLSearchParams(query);
    setMost(SHOWN);
    if (value && value !== "all") next.set(name, value); else next.delete(name);
    go(`#/${next.size ? `?${next}` : ""}`);
  };
  const operates = mayOperate();
  return html`<main tabindex="-1">
    <h1>Routes</h1>
    <${Troubles} health=${health} own=${own} />
    <p class="lead" role="status">${!state.snapshot ? "asking the router …" : needs
      ? `${needs} of ${routes.length} need${needs === 1 ? "s" : ""} attention`
      : routes.length ? `nothing needs attention; ${routes.length} route${routes.length === 1 ? "" : "s"}` : ""}</p>
    <div class="bar">
      <label class="filter">Filter <input type="search" value=${wanted} placeholder="route, version or state"
        onInput=${(event) => set("q", event.target.value)} /></label>
      <${Choice} label="Show" choices=${SHOWS} chosen=${show} choose=${(name) => set("show", name)} />
      ${health && mayAdmin() ? html`<${FreezeAll} health=${health} />` : ""}
    </div>
    ${state.snapshot && !routes.length ? html`<div class="empty"><h2>No routes</h2>
      <p>The policy has no routes yet. Add one to the file; it is loaded within a second of being saved.</p>
      <p><code>rampway init</code> writes a policy to begin with.</p></div>` : ""}
    ${routes.length && !found.length ? html`<p class="empty">No route matches.</p>` : ""}
    ${found.length ? html`<table class="routes" ref=${table}>
      <thead><tr><th scope="col">Route</th><th scope="col">State</th><th scope="col">Versions</th><th scope="col">Traffic</th>
        <th scope="col" class="r">Requests</th><th scope="col" class="r">Failed</th><th scope="col">Why</th></tr></thead>
      <tbody>${shown.map((route) => html`<${Row} key=${route.name} route=${route} operates=${operates} />`)}</tbody>
    </table>` : ""}
    ${found.length > shown.length ? html`<p><button type="button" onClick=${() => setMost(most + SHOWN)}>Show ${Math.min(SHOWN, found.length - most)} more of ${found.length}</button></p>` : ""}
  </main>`;
}
