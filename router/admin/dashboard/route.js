// One route: where it is and why, what the gates say, its course, its versions, its journal.
import { html, useEffect, useState } from "./preact-htm.js";
import { isStale, mayOperate, post, readHistory, say, state } from "./link.js";
import { Actions } from "./actions.js";
import { colours, Split, useRoute, Verdict } from "./parts.js";
import { Data } from "./data.js";
import { Plots } from "./plots.js";
import { Shadow } from "./shadow.js";
import { known, lasts, milliseconds, moment, NONE, odds, percent, phase, rate, share, tone, verdict, whole, words } from "./words.js";

const ended = (rollout) => ["completed", "aborted", "rolled_back"].includes(rollout.phase);

// "holding at 25 %: p99 needs about 1,140 more answers"
export function standing(rollout) {
  const at = `${phase(rollout.phase)} at ${share(rollout.weight_bp)}`;
  if (ended(rollout)) return "";
  const waits = [];
  if (rollout.waits_for) waits.push(rollout.waits_for);
  if (rollout.approval) waits.push(rollout.approval.remaining_s === null ? "waits for a person" : `waits for a person; in ${lasts(rollout.approval.remaining_s)} it will ${rollout.approval.then}`);
  const missing = (rollout.until_samples ?? 0) - rollout.samples;
  if (missing > 0) waits.push(`needs ${whole(missing)} more answers`);
  if (rollout.remaining_s > 0) waits.push(`${lasts(rollout.remaining_s)} of the ${rollout.phase === "baking" ? "bake" : "step"} are left`);
  return `${at}${waits.length ? `: ${waits.join("; ")}` : ""}`;
}

function Track({ rollout }) {
  const steps = rollout.plan.steps.map((step, index) => {
    const over = ["completed", "baking"].includes(rollout.phase);
    const here = index + 1 === rollout.step && !over;
    const label = step.weight_bp || !step.mirror_bp ? share(step.weight_bp) : `copy ${share(step.mirror_bp)}`;
    return { label: step.approval ? `${label}, approval` : label, here, done: index + 1 < rollout.step || over };
  });
  if (rollout.plan.bake_s) {
    steps.push({ label: `bake ${lasts(rollout.plan.bake_s)}`, here: rollout.phase === "baking", done: rollout.phase === "completed" });
  }
  const failed = ["aborted", "rolled_back"].includes(rollout.phase);
  return html`<ol class="track" aria-label="Steps">${steps.map((step, index) => html`<li key=${index} class=${step.here ? `here ${failed ? "failed" : ""}` : step.done ? "done" : ""}
    aria-current=${step.here ? "step" : undefined}>${step.label}</li>`)}</ol>`;
}

function Gate({ gate }) {
  const bets = known(gate.limit) && gate.limit > 1 && known(gate.evidence);
  const promotion = gate.name === "promotion";
  const part = bets ? Math.min(Math.max(Math.log(Math.max(gate.evidence, 1)) / Math.log(gate.limit), 0), 1) : 0;
  const css = promotion ? "good" : part >= 1 || gate.verdict === "fail" ? "bad" : part > 0.25 ? "hold" : "good";
  return html`<li class=${`gate ${verdict(gate.verdict)[0]}`}>
    <div class="head"><${Verdict} name=${gate.verdict} /> <strong>${promotion ? "proof that it is not worse" : gate.name}</strong>
      ${gate.dry_run ? html`<span class="soft"> (dry run)</span>` : ""}
      ${bets ? html`<span class="odds soft">${odds(gate.evidence)} of ${odds(gate.limit)} ${promotion ? "for it" : "against it"}</span>` : ""}</div>
    ${bets ? html`<div class=${`meter ${css}`} role="img" aria-label=${`evidence ${odds(gate.evidence)} of ${odds(gate.limit)}`}><i style=${{ width: `${part * 100}%` }}></i></div>` : ""}
    <p>${gate.sentence}</p></li>`;
}

function Versions({ versions, rollout, shares, feedback, colour }) {
  const labelled = Object.values(feedback ?? {}).some((one) => one.right + one.wrong > 0);
  const role = (name) => (!rollout ? "" : name === rollout.serving_stable ? "stable" : name === rollout.candidate ? "candidate" : "");
  return html`<div class="scroll"><table class="versions"><thead><tr><th scope="col">Version</th><th scope="col" class="r">Share</th><th scope="col" class="r">Requests</th>
    <th scope="col" class="r">Failed</th><th scope="col" class="r">p50</th><th scope="col" class="r">p99</th><th scope="col" class="r">In flight</th>${labelled ? html`<th scope="col" class="r">Right by label</th>` : ""}<th scope="col">Endpoints</th></tr></thead>
    <tbody>${Object.entries(versions).map(([name, one]) => {
      const up = one.endpoints.filter((e) => e.healthy && !e.ejected).length;
      const tally = feedback?.[name];
      const old = one.requests && !one.requests_per_s ? " (a minute ago)" : "";
      return html`<tr key=${name}><th scope="row"><i class=${`swatch ${colour(name)}`}></i>${name} <span class="soft">${role(name)}</span></th>
        <td class="r" data-heading="Share">${share(shares[name])}</td><td class="r" data-heading="Requests">${rate(one.requests_per_s)}${old}${one.shadow ? html`<br /><span class="soft">copies ${rate(one.shadow.requests_per_s)}</span>` : ""}</td>
        <td class="r" data-heading="Failed">${one.requests ? percent(one.error_ratio, 2) : NONE}</td><td class="r" data-heading="p50">${one.requests ? milliseconds(one.p50_s) : NONE}</td>
        <td class="r" data-heading="p99">${one.requests ? milliseconds(one.p99_s) : NONE}</td><td class="r" data-heading="In flight">${whole(one.in_flight)}</td>
        ${labelled ? html`<td class="r" data-heading="Right by label">${tally ? `${whole(tally.right)} of ${whole(tally.right + tally.wrong)}` : NONE}</td>` : ""}
        <td data-heading="Endpoints">${one.endpoints.length ? html`<span class=${up === one.endpoints.length ? "" : "no"}>${up} of ${one.endpoints.length} up</span>` : NONE}</td></tr>`;
    })}</tbody></table></div><p class="soft">Figures of the last minute.</p>`;
}

function Journal({ entries }) {
  const [all, setAll] = useState(false);
  const shown = all ? entries : entries.slice(0, 12);
  return html`<ol class="journal">${shown.map((entry) => html`<li key=${entry.id || `${entry.at}`}><time dateTime=${new Date(entry.at * 1000).toISOString()}>${moment(entry.at)}</time>
    <div><span class="what">${words(entry.action)}</span> <span class="soft">by ${entry.actor}</span><br />${entry.line}
    ${entry.reason !== entry.line ? html`<details><summary>the numbers then</summary>${entry.reason}</details>` : ""}</div></li>`)}</ol>
    ${entries.length > shown.length ? html`<button type="button" onClick=${() => setAll(true)}>Show all ${entries.length}</button>` : ""}
    ${entries.length ? "" : html`<p class="soft">Nothing was decided yet.</p>`}`;
}

export function markdown(route, summary, rollout, journal) {
  const lines = [`## ${route}: ${rollout ? `${rollout.stable} → ${rollout.candidate}, ${phase(rollout.phase)} at ${share(rollout.weight_bp)}` : `${summary.stable} serves, no rollout`}`, ""];
  if (rollout) {
    lines.push(rollout.line, "", standing(rollout), "", "| gate | verdict | numbers |", "| --- | --- | --- |",
      ...rollout.gates.map((gate) => `| ${gate.name} | ${verdict(gate.verdict)[2]} | ${gate.sentence.replaceAll("|", "\\|")} |`), "",
      "| version | share | requests | failed | p99 |", "| --- | --- | --- | --- | --- |",
      ...Object.entries(rollout.versions).map(([name, one]) => `| ${name} | ${share(rollout.shares_bp[name])} | ${rate(one.requests_per_s)} | ${percent(one.error_ratio, 2)} | ${milliseconds(one.p99_s)} |`), "");
  }
  lines.push("### Journal", "", ...journal.map((entry) => `- ${moment(entry.at)} **${words(entry.action)}** by ${entry.actor}: ${entry.line}`));
  return `${lines.join("\n")}\n`;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    say("copied as Markdown", "good");
  } catch { say("the browser does not let this page copy"); }
}

function Backends({ route }) {
  const told = useRoute(route);
  if (!told) return html`<p class="soft">asking …</p>`;
  const rows = Object.entries(told.versions).flatMap(([name, one]) => one.endpoints.map((endpoint) => [name, endpoint]));
  return html`<h2>Backends</h2><div class="scroll"><table><thead><tr><th scope="col">Endpoint</th><th scope="col">Version</th><th scope="col">State</th><th scope="col" class="r">In flight</th><th scope="col" class="r">Connections</th><th scope="col">Last error</th></tr></thead>
    <tbody>${rows.map(([name, one]) => html`<tr key=${`${name} ${one.endpoint}`}><th scope="row"><code>${one.endpoint}</code></th><td>${name}</td>
      <td><span class=${`badge ${one.ejected || !one.healthy ? "bad" : "good"}`}>${one.ejected ? "ejected" : one.healthy ? "up" : "down"}</span></td>
      <td class="r">${whole(one.in_flight)}</td><td class="r">${whole(one.open_connections)}</td><td>${one.last_error || NONE}</td></tr>`)}</tbody></table></div>`;
}

const TABS = [["", "Rollout"], ["shadow", "Shadow explorer"], ["data", "Data and usage"], ["backends", "Backends"], ["journal", "Journal"]];

export function RoutePage({ route, tab }) {
  useEffect(() => {
    readHistory();
    const every = setInterval(readHistory, 2_000);
    return () => clearInterval(every);
  }, [route]);
  const summary = state.routes.get(route), { rollout, journal, history } = state;
  const base = `#/route/${encodeURIComponent(route)}`;
  if (state.snapshot && !summary) return html`<main><p><a href="#/">All routes</a></p><h1>${route}</h1><p class="empty">No route has this name. It may have left the policy.</p></main>`;
  if (!summary) return html`<main><p class="soft">asking the router …</p></main>`;
  const versions = rollout?.versions ?? state.versions ?? {};
  const colour = colours(rollout ?? summary, Object.keys(versions));
  const shares = rollout?.shares_bp ?? summary.shares_bp;
  const now = rollout ? standing(rollout) : "";
  return html`<main>
    <p class="crumbs"><a href="#/">All routes</a></p>
    <div class="title"><h1>${route}</h1> <span class=${`badge ${tone(summary.health)}`}>${phase(summary.phase)}</span>
      ${summary.frozen ? html`<span class="badge hold">frozen</span>` : ""}
      <button type="button" class="end" onClick=${() => copy(markdown(route, summary, rollout, journal))}>Copy as Markdown</button></div>
    <p class="lead">${rollout ? rollout.line : `${summary.stable} serves; no rollout.`}</p>
    ${now ? html`<p class="standing">${now}</p>` : ""}
    ${summary.attention?.kind === "taken_back" && mayOperate() ? html`<p class="attention">Nobody has said that they saw this.
      <button type="button" class="seen" onClick=${() => post("/api/v1/acknowledge", { route }).catch((error) => say(error.message))}>I have seen it</button></p>` : ""}
    <nav class="tabs" aria-label="Parts of this route">${TABS.map(([name, label]) => html`<a key=${name} href=${name ? `${base}/${name}` : base} aria-current=${tab === name ? "page" : undefined}>${label}</a>`)}</nav>
    ${tab === "shadow" ? html`<${Shadow} route=${route} rollout=${rollout} />` : tab === "data" ? html`<${Data} route=${route} />` : tab === "backends" ? html`<${Backends} route=${route} />`
      : tab === "journal" ? html`<h2>Journal</h2><${Journal} entries=${journal} />` : html`
      ${rollout && rollout.plan.steps.length ? html`<${Track} rollout=${rollout} />` : ""}
      <${Split} shares=${shares} colour=${colour} />
      <ul class="legend">${Object.keys(shares).map((name) => html`<li key=${name}><i class=${`swatch ${colour(name)}`}></i>${name} ${share(shares[name])}${name === rollout?.candidate && known(rollout.measured_bp) ? ` (measured ${share(rollout.measured_bp)})` : ""}</li>`)}
        ${rollout?.mirror_bp ? html`<li><i class="swatch vx"></i>copies of ${share(rollout.mirror_bp)} to ${rollout.candidate}</li>` : ""}</ul>
      ${mayOperate() ? html`<${Actions} route=${route} rollout=${rollout} summary=${summary} stale=${isStale()} />` : ""}
      <${Facts} rollout=${rollout} summary=${summary} />
      ${rollout?.gates.length ? html`<h2>Gates</h2><ul class="gates">${rollout.gates.map((gate) => html`<${Gate} key=${gate.name} gate=${gate} />`)}</ul>` : ""}
      <h2>Course</h2><${Plots} history=${history} journal=${journal} rollout=${rollout} colour=${colour} />
      <h2>Versions</h2><${Versions} versions=${versions} rollout=${rollout} shares=${shares} feedback=${rollout?.feedback} colour=${colour} />
      <h2>Journal</h2><${Journal} entries=${journal} />`}
  </main>`;
}

function Facts({ rollout, summary }) {
  const lines = [];
  if (summary.frozen) lines.push(["hold", summary.frozen]);
  if (rollout?.override) lines.push(["hold", `share set by hand to ${share(rollout.override.weight_bp)} for another ${lasts(rollout.override.remaining_s)}`]);
  if (rollout?.next_advance_at) lines.push(["", `advances at ${moment(rollout.next_advance_at)} at the earliest`]);
  for (const [version, count] of Object.entries(rollout?.draining ?? {})) lines.push(["hold", `${whole(count)} requests are still under way on ${version}, which gets no new ones`]);
  if (rollout?.bandit) lines.push(["", rollout.bandit.warning]);
  for (const note of rollout?.notes ?? summary.notes) lines.push(["bad", note]);
  if (rollout?.unsaved) lines.push(["bad", "the last change is in force and not yet on the disk"]);
  return lines.length ? html`<ul class="facts">${lines.map(([css, text]) => html`<li key=${text} class=${css}>${text}</li>`)}</ul>` : "";
}
