// What the same requests got from both versions: how often they agree, and where they do not.
import { html, useEffect, useState } from "./preact-htm.js";
import { read } from "./link.js";
import { Wide } from "./parts.js";
import { known, milliseconds, moment, NONE, percent, whole, words } from "./words.js";

function Worst({ one, stable, candidate }) {
  return html`<article class="pair"><header><code>${one.request_id || "without an id"}</code> <span class="soft">${moment(one.at)}${one.segment ? ` · ${one.segment}` : ""}</span>
      ${known(one.score_distance) ? html`<strong>${one.score_distance.toPrecision(3)} apart</strong>` : ""} <span class="soft">${words(one.direction ?? "")}</span></header>
    <${Wide}><table><thead><tr><th scope="col">Field</th><th scope="col">${stable}</th><th scope="col">${candidate}</th></tr></thead>
    <tbody>${one.differences.map((d) => html`<tr key=${d.path} class=${d.decides ? "decides" : ""}><th scope="row"><code>${d.path || "(whole answer)"}</code> <span class="soft">${words(d.kind)}</span></th>
      <td><code>${String(d.stable)}</code></td><td><code>${String(d.candidate)}</code></td></tr>`)}</tbody></table></${Wide}></article>`;
}

function Judge({ judge, candidate }) {
  const today = judge.today, of = (used, most) => (most === null ? whole(used) : `${whole(used)} of ${whole(most)}`);
  const figures = [[`called ${candidate} worse`, whole(judge.worse)], ["better", whole(judge.better)], ["alike", whole(judge.alike)], ["without a verdict", `${whole(judge.unanswered)} of ${whole(judge.asked)}`],
    ["for the first, the second", `${whole(judge.first)}, ${whole(judge.second)}`], ["calls today", of(today.calls, today.calls_most)],
    ...(today.tokens || today.tokens_most !== null ? [["tokens today", of(today.tokens, today.tokens_most)]] : []), ...(today.cost || today.cost_most !== null ? [["cost today", of(today.cost, today.cost_most)]] : [])];
  return html`<section><h3>${judge.gate}: which of both answers is better</h3>
    ${judge.place ? html`<p class="warn">${judge.place}</p>` : ""}${today.used_up ? html`<p class="warn">${today.used_up} are spent today, so nobody is asked until midnight (UTC).</p>` : ""}
    ${judge.trouble ? html`<p class="warn">The last question got no verdict: ${judge.trouble}${judge.left_alone ? "; it is left alone for a while" : ""}.</p>` : ""}
    <dl class="tiles">${figures.map(([label, text]) => html`<div key=${label}><dt>${label}</dt><dd>${text}</dd></div>`)}</dl></section>`;
}

export function Shadow({ route, rollout }) {
  const [told, setTold] = useState(null), [missing, setMissing] = useState("");
  useEffect(() => {
    const look = () => read(`/api/v1/rollouts/${encodeURIComponent(route)}/shadow`).then((found) => { setTold(found); setMissing(""); }, (error) => setMissing(error.message));
    look();
    const every = setInterval(look, 3_000);
    return () => clearInterval(every);
  }, [route]);
  if (missing) return html`<p class="empty">${missing}</p>`;
  if (!told) return html`<p class="soft">asking …</p>`;
  const names = Object.keys(told.versions);
  if (!names.some((name) => told.versions[name].pairs)) {
    return html`<h2>Shadow explorer</h2><p class="empty">No request was answered by both versions yet. A step with <code>mirror</code> makes copies; ${rollout ? `${rollout.candidate} gets none now.` : "there is no rollout."}</p>`;
  }
  return html`<h2>Shadow explorer</h2>${told.alarm ? html`<p class="warn">${told.alarm}</p>` : ""}
    ${(told.judges ?? []).map((judge) => html`<${Judge} key=${judge.gate} judge=${judge} candidate=${told.candidate} />`)}
    ${names.filter((name) => told.versions[name].pairs).map((name) => {
      const one = told.versions[name];
      const figures = [["pairs compared", whole(one.pairs)], ["agree", percent(one.agreement, 2)], ["disagree", whole(one.disagreed)], ["failed copies", whole(one.failed)],
        ["stricter, looser", `${whole(one.stricter)}, ${whole(one.looser)}`],
        ...(one.score?.pairs ? [["mean score distance", one.score.mean.toPrecision(2)], [`more than ${one.score.far} apart`, percent(one.score.far_share)]] : []),
        ["p99 of both", `${milliseconds(one.latency.stable.p99_s)}, ${milliseconds(one.latency.candidate.p99_s)}`]];
      return html`<section key=${name}><h3>${told.stable} beside ${name}</h3>
        <dl class="tiles">${figures.map(([label, text]) => html`<div key=${label}><dt>${label}</dt><dd>${text}</dd></div>`)}</dl>
        ${one.segments.length ? html`<h4>By segment</h4><table><tbody>${one.segments.map((s) => html`<tr key=${s.segment}><th scope="row">${s.segment}</th><td class="r">${whole(s.pairs)} pairs</td><td class="r">${percent(s.agreement)} agree</td></tr>`)}</tbody></table>` : ""}
        <h4>The worst disagreements, side by side</h4>
        ${one.worst.length ? different(one.worst).map((w) => html`<${Worst} key=${`${w.request_id} ${w.at}`} one=${w} stable=${told.stable} candidate=${name} />`) : html`<p class="soft">None: every pair that was compared agrees. ${NONE}</p>`}</section>`;
    })}`;
}

// Twenty times the same field says no more than once: of each kind of difference the furthest two.
function different(worst) {
  const seen = new Map();
  return worst.filter((one) => {
    const kind = one.differences.filter((d) => d.decides).map((d) => `${d.path.replace(/\d+/g, "#")} ${d.kind}`).join(", ");
    seen.set(kind, (seen.get(kind) ?? 0) + 1);
    return seen.get(kind) <= 2;
  });
}
