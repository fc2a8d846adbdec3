// How right the versions were, over time, from the prediction log: against the truth that came later.
import { html } from "./preact-htm.js";
import { Choice, Gate, usePolled, Wide } from "./parts.js";
import { last, markedSince, marksOf, Plot } from "./plots.js";
import { copy } from "./report.js";
import { known, lasts, moment, NONE, percent, whole } from "./words.js";

const AGAIN_MS = 5_000; // the router reads its log less often than it is asked
const SPANS = [["3600", "1 hour"], ["86400", "1 day"], ["604800", "7 days"], ["2592000", "30 days"]];
const DRAWN = 4; // versions in one plot; further ones are in the table
const number = (value) => (Math.abs(value) >= 100 ? whole(Math.round(value)) : Number(value.toPrecision(3)).toString());
const ratio = (value) => percent(value, 1);

// Name, what it says, how it is written, whether more is better (in words), the gate that asks for it.
const METRICS = {
  accuracy: ["Accuracy", "Right, of the predictions that have a truth. More is better.", ratio],
  auc: ["AUC", "Chance that a positive scores above a negative. More is better.", (v) => v.toFixed(3)],
  mae: ["Mean absolute error", "How far numbers lie from the truth. Less is better.", number],
  business: ["Business value", "Mean of what predictions brought. More is better.", number],
  trust: ["Trust", "Share that people took. More is better.", ratio],
};
const COPIES = " (copies)";
const legend = (names, colour) => names.map((name) => [colour(name), name.endsWith(COPIES) ? `${name}, dashed` : name]);
const COVERED = ["Coverage of truth", "Share of the predictions that have a truth by now; the newest still wait for theirs."];

const band = (figure, written) => (known(figure.low) ? html`<br /><span class="soft">${written(figure.low)} to ${written(figure.high)}</span>` : "");

function Table({ told, names, colour }) {
  const metrics = Object.keys(METRICS).filter((metric) => names.some((name) => told.versions[name].metrics[metric]));
  return html`<${Wide}><table class="performance"><thead><tr><th scope="col">Version</th><th scope="col" class="r">Predictions</th><th scope="col" class="r">With a truth</th>
      <th scope="col" class="r">Truth comes after</th>${metrics.map((metric) => html`<th scope="col" class="r" key=${metric}>${METRICS[metric][0]}</th>`)}</tr></thead>
    <tbody>${names.map((name) => {
      const one = told.versions[name];
      return html`<tr key=${name}><th scope="row"><i class=${`swatch ${colour(name)}`}></i>${name}</th><td class="r">${whole(one.predictions)}</td>
        <td class="r">${whole(one.labelled)}<br /><span class="soft">${percent(one.covered)}</span></td>
        <td class="r">${known(one.lag_p50_s) ? html`${lasts(one.lag_p50_s)}<br /><span class="soft">95 % within ${lasts(one.lag_p95_s)}</span>` : NONE}</td>
        ${metrics.map((metric) => {
          const figure = one.metrics[metric], written = METRICS[metric][2];
          return html`<td class="r" key=${metric}>${figure ? html`${written(figure.value)}${band(figure, written)}<br /><span class="soft">of ${whole(figure.count)}</span>` : NONE}</td>`;
        })}</tr>`;
    })}</tbody></table></${Wide}>`;
}

function Curve({ metric, told, names, colour, marks }) {
  const [title, caption, written] = METRICS[metric];
  const drawn = names.filter((name) => told.versions[name].course[metric]).slice(0, DRAWN);
  const css = (name) => `--${colour(name)}`;
  const copies = (name) => name.endsWith(COPIES); // dashed, and with no band: nobody was served by them
  const edge = (name) => ({ label: `${name}, band`, colour: css(name), width: copies(name) ? 0 : 0.5 });
  const series = drawn.flatMap((name) => [edge(name), edge(name), { label: name, colour: css(name), points: !copies(name), dash: copies(name) ? [4, 4] : undefined, width: copies(name) ? 1.5 : 2 }]);
  const columns = drawn.flatMap((name) => { const of = told.versions[name].course[metric]; return [of.high, of.low, of.value]; });
  const values = columns.flat().filter(known);
  const low = Math.min(...values), high = Math.max(...values), room = (high - low || Math.abs(high) || 1) * 0.08;
  const spec = { key: `${metric} ${drawn.join(" ")}`, series, marks, format: written, range: [low - room, high + room],
    bands: drawn.flatMap((name, n) => (copies(name) ? [] : [[3 * n + 1, 3 * n + 2, css(name)]])) };
  return html`<${Plot} title=${title} caption=${`${caption} The band holds it with 95 %, for each point by itself.`} spec=${spec} data=${[told.at, ...columns]}
    legend=${legend(drawn, colour)} now=${drawn.map((name) => `${name} ${known(last(told.versions[name].course[metric].value)) ? written(last(told.versions[name].course[metric].value)) : NONE}`).join(", ")} />`;
}

function Covered({ told, names, colour, marks }) {
  const drawn = names.slice(0, DRAWN);
  const spec = { key: `covered ${drawn.join(" ")}`, marks, format: (v) => percent(v, 0), range: [0, 1.02], series: drawn.map((name) => ({ label: name, colour: `--${colour(name)}`, points: true, dash: name.endsWith(COPIES) ? [4, 4] : undefined })) };
  return html`<${Plot} title=${COVERED[0]} caption=${COVERED[1]} spec=${spec} data=${[told.at, ...drawn.map((name) => told.versions[name].covered_course)]}
    legend=${legend(drawn, colour)} now=${drawn.map((name) => `${name} ${percent(told.versions[name].covered)} in all`).join(", ")} />`;
}

function Segments({ told }) {
  const metrics = Object.keys(METRICS).filter((metric) => told.segments.some((one) => one.metrics[metric]));
  if (!told.segments.length) return "";
  return html`<h3>By segment</h3><${Wide}><table><thead><tr><th scope="col">Segment</th><th scope="col">Version</th><th scope="col" class="r">Predictions</th>${metrics.map((metric) => html`<th scope="col" class="r" key=${metric}>${METRICS[metric][0]}</th>`)}</tr></thead>
    <tbody>${told.segments.map((one) => html`<tr key=${`${one.segment} ${one.version}`}><th scope="row">${one.segment}</th><td>${one.version}</td><td class="r">${whole(one.predictions)}</td>
      ${metrics.map((metric) => html`<td class="r" key=${metric}>${one.metrics[metric] ? html`${METRICS[metric][2](one.metrics[metric].value)}${band(one.metrics[metric], METRICS[metric][2])}` : NONE}</td>`)}</tr>`)}</tbody></table></${Wide}>`;
}

function Report({ told }) {
  const iso = (at) => new Date(at * 1000).toISOString().slice(0, 19);
  const command = `rampway report ${told.route} --log ${told.file} --from ${iso(told.since)}Z --to ${iso(told.until)}Z`;
  return html`<p>The same as one page to hand on: <code>${command}</code> <button type="button" onClick=${() => copy(command, "copied the command")}>Copy</button></p>`;
}

function Gates({ rollout }) {
  const found = rollout?.gates.filter((gate) => gate.gate in METRICS) ?? [];
  if (found.length) return html`<h3>What it decides</h3><ul class="gates">${found.map((gate) => html`<${Gate} key=${gate.name} gate=${gate} />`)}</ul>`;
  return rollout ? html`<p class="soft">No gate asks for truth here, so nothing on this page takes the candidate back: accuracy, auc, mae, business or trust under gates does.</p>` : "";
}

export function Performance({ route, rollout, journal, colour, query, go }) {
  const span = query.get("span") ?? SPANS[1][0];
  const [told, missing] = usePolled(`/api/v1/routes/${encodeURIComponent(route)}/performance?span=${encodeURIComponent(span)}`, AGAIN_MS);
  const of = (name) => colour(name.replace(COPIES, ""));
  const marks = told ? marksOf(markedSince(journal, told.since)) : [];
  const names = told ? Object.keys(told.versions) : [];
  const labelled = names.reduce((sum, name) => sum + told.versions[name].labelled, 0);
  const metrics = Object.keys(METRICS).filter((metric) => names.some((name) => told.versions[name].course[metric]));
  return html`<h2>Model performance</h2>
    <div class="bar"><${Choice} label="How far back" choices=${SPANS} chosen=${span} choose=${(value) => go(new URLSearchParams({ span: value }))} /></div>
    ${missing ? html`<p class="empty">${missing}</p>` : ""}
    ${!told ? (missing ? "" : html`<p class="soft">reading the prediction log …</p>`) : !names.length ? html`<p class="empty">No prediction was logged in that time.</p>` : html`
      <p>${moment(told.since)} to ${moment(told.until)}: ${whole(told.read)} predictions ${told.whole ? "" : "read, spread evenly over that time, "}of which ${whole(labelled)} have a truth.
        ${labelled ? "" : html`<strong> Nobody has said yet what was right:</strong> POST /api/v1/feedback does.`}</p>
      <${Table} told=${told} names=${names} colour=${of} />
      <${Gates} rollout=${rollout} />
      <h3>Over time</h3><div class="plots">${metrics.map((metric) => html`<${Curve} key=${metric} metric=${metric} told=${told} names=${names} colour=${of} marks=${marks} />`)}
        <${Covered} told=${told} names=${names} colour=${of} marks=${marks} /></div>
      <${Segments} told=${told} /><${Report} told=${told} />`}`;
}
