// A route's rollout: steps, verbs, gates, its course, its versions, its journal.
import { html } from "./preact-htm.js";
import { isStale, mayOperate } from "./link.js";
import { Actions } from "./actions.js";
import { Journal } from "./journal.js";
import { Cells } from "./data.js";
import { Gate, Split, usePolled, Wide } from "./parts.js";
import { markedIn, Plots } from "./plots.js";
import { known, lasts, milliseconds, moment, NONE, percent, rate, share, whole } from "./words.js";

const DATA_MS = 5_000;
const FACTS = 4; // lines that are shown at once

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

function Versions({ versions, rollout, shares, feedback, colour }) {
  const labelled = Object.values(feedback ?? {}).some((one) => one.right + one.wrong > 0);
  const role = (name) => (!rollout ? "" : name === rollout.serving_stable ? "stable" : name === rollout.candidate ? "candidate" : "");
  return html`<${Wide}><table class="versions"><thead><tr><th scope="col">Version</th><th scope="col" class="r">Share</th><th scope="col" class="r">Requests</th>
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
    })}</tbody></table></${Wide}><p class="soft">Figures of the last minute.</p><${Given} versions=${versions} />`;
}

// What a cache or a table answered in the versions' place, since the router began.
function Given({ versions }) {
  const lines = Object.entries(versions).flatMap(([name, { cache, table }]) => [
    cache && `Cache of ${name}: ${whole(cache.hits)} answered again, ${whole(cache.waited)} waited for the answer to another, ${whole(cache.asked)} asked, ${whole(cache.passed)} never kept`,
    table && `Table of ${name}: ${whole(table.hits)} found, ${whole(table.misses)} not in it, ${whole(table.stale)} too old or not there`,
  ]).filter(Boolean);
  return lines.length ? html`<ul class="facts given">${lines.map((text) => html`<li key=${text}>${text}</li>`)}</ul>` : "";
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
  const list = (some) => html`<ul class="facts">${some.map(([css, text]) => html`<li key=${text} class=${css}>${text}</li>`)}</ul>`;
  const more = lines.slice(FACTS);
  return html`${lines.length ? list(lines.slice(0, FACTS)) : ""}${more.length ? html`<details><summary>${more.length} more</summary>${list(more)}</details>` : ""}`;
}

export function Rollout({ route, rollout, summary, journal, history, versions, shares, colour }) {
  const marked = markedIn(journal, history);
  const [data] = usePolled(`/api/v1/routes/${encodeURIComponent(route)}/data?signal=score`, DATA_MS);
  return html`${rollout && rollout.plan.steps.length ? html`<${Track} rollout=${rollout} />` : ""}
    <${Split} shares=${shares} colour=${colour} />
    <ul class="legend">${Object.keys(shares).map((name) => html`<li key=${name}><i class=${`swatch ${colour(name)}`}></i>${name} ${share(shares[name])}${name === rollout?.candidate && known(rollout.measured_bp) ? ` (measured ${share(rollout.measured_bp)})` : ""}</li>`)}
      ${rollout?.mirror_bp ? html`<li><i class="swatch vx"></i>copies of ${share(rollout.mirror_bp)} to ${rollout.candidate}</li>` : ""}
      ${known(rollout?.batch_bp) ? html`<li>of batch traffic ${share(rollout.batch_bp)} to ${rollout.candidate}</li>` : ""}</ul>
    ${mayOperate() ? html`<${Actions} route=${route} rollout=${rollout} summary=${summary} stale=${isStale()} />` : ""}
    <${Facts} rollout=${rollout} summary=${summary} />
    ${rollout?.gates.length ? html`<h2>Gates</h2><ul class="gates">${rollout.gates.map((gate) => html`<${Gate} key=${gate.name} gate=${gate} />`)}</ul>` : ""}
    <h2>Course</h2><${Plots} history=${history} marked=${marked} rollout=${rollout} colour=${colour} data=${data} />
    ${data?.chosen?.arms.candidate ? html`<h2>Scores</h2><${Cells} chosen=${data.chosen} />` : ""}
    <h2>Versions</h2><${Versions} versions=${versions} rollout=${rollout} shares=${shares} feedback=${rollout?.feedback} colour=${colour} />
    <h2>Journal</h2><${Journal} entries=${journal} numbers=${marked} />`;
}
