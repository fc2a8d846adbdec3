// One route: where it is and why, and the parts that pages.js names.
import { html, useEffect } from "./preact-htm.js";
import { mayOperate, post, readHistory, say, state } from "./link.js";
import { TABS } from "./pages.js";
import { colours } from "./parts.js";
import { copy, markdown, standing } from "./report.js";
import { phase, tone } from "./words.js";

export function RoutePage({ route, tab, query, go: to }) {
  useEffect(() => {
    readHistory();
    const every = setInterval(readHistory, 2_000);
    return () => clearInterval(every);
  }, [route]);
  const summary = state.routes.get(route), { rollout, journal, history } = state;
  const base = `#/route/${encodeURIComponent(route)}`;
  if (state.snapshot && !summary) return html`<main tabindex="-1"><p><a href="#/">All routes</a></p><h1>${route}</h1><p class="empty">No route has this name. It may have left the policy.</p></main>`;
  if (!summary) return html`<main tabindex="-1"><p class="soft">asking the router …</p></main>`;
  const versions = rollout?.versions ?? state.versions ?? {};
  const colour = colours(rollout ?? summary, Object.keys(versions));
  const shares = rollout?.shares_bp ?? summary.shares_bp;
  const now = rollout ? standing(rollout) : "";
  const go = (asked) => to(`${base}/${tab}${asked.size ? `?${asked}` : ""}`);
  const tabs = TABS.filter(([, , , may]) => may());
  const [, title, Part] = tabs.find(([name]) => name === tab) ?? [tab, "", null];
  return html`<main tabindex="-1">
    <p class="crumbs"><a href="#/">All routes</a></p>
    <div class="title"><h1>${route}</h1> <span class=${`badge ${tone(summary.health)}`}>${phase(summary.phase)}</span>
      ${summary.frozen ? html`<span class="badge hold">frozen</span>` : ""}
      <button type="button" class="end" onClick=${() => copy(markdown(route, summary, rollout, journal))}>Copy as Markdown</button></div>
    <p class="lead">${rollout ? rollout.line : `${summary.stable} serves; no rollout.`}</p>
    ${now ? html`<p class="standing">${now}</p>` : ""}
    ${summary.attention?.kind === "taken_back" && mayOperate() ? html`<p class="attention">Nobody has said that they saw this.
      <button type="button" class="seen" onClick=${() => post("/api/v1/acknowledge", { route }).catch((error) => say(error.message))}>I have seen it</button></p>` : ""}
    <nav class="tabs" aria-label="Parts of this route">${tabs.map(([name, label]) => html`<a key=${name} href=${name ? `${base}/${name}` : base} aria-current=${tab === name ? "page" : undefined}>${label}</a>`)}</nav>
    ${Part ? html`<${Part} key=${tab} title=${title} ...${{ route, rollout, summary, journal, history, versions, shares, colour, query, go }} />`
      : html`<p class="empty">There is no such page, or your role does not show it.</p>`}
  </main>`;
}
