// What was decided, when, by whom, and the evidence as it stood then.
import { html, useState } from "./preact-htm.js";
import { Verdict, Wide } from "./parts.js";
import { known, moment, odds, percent, phase, share, whole, words } from "./words.js";

// What the journal keeps of the gates: a decision's evidence never changes afterwards.
function Frozen({ entry }) {
  const { reports = [], capital, limit, samples } = entry.evidence;
  const of = (counts) => (counts?.total ? `${whole(counts.bad)} of ${whole(counts.total)} (${percent(counts.bad / counts.total)})` : "0 of 0");
  return html`<details><summary>the numbers then</summary><p>${entry.reason}</p>
    ${reports.length ? html`<p class="soft">Frozen at ${moment(entry.at)}, revision ${entry.revision}${known(capital) ? `: all gates together ${odds(capital)} of ${odds(limit)} against it` : ""}${samples ? `, ${whole(samples)} samples of the step` : ""}.</p>
    <${Wide}><table class="frozen"><thead><tr><th scope="col">Gate</th><th scope="col">Then</th><th scope="col" class="r">Evidence</th><th scope="col" class="r">Limit</th><th scope="col" class="r">Candidate, bad</th><th scope="col" class="r">Stable, bad</th></tr></thead>
      <tbody>${reports.map((gate) => html`<tr key=${gate.gate}><th scope="row">${words(gate.gate)}</th><td><${Verdict} name=${gate.verdict} /></td><td class="r">${odds(gate.evidence)}</td><td class="r">${odds(gate.limit)}</td>
        <td class="r">${of(gate.candidate)}</td><td class="r">${of(gate.stable)}</td></tr>`)}</tbody></table></${Wide}>` : ""}</details>`;
}

const told = (entry) => entry.evidence?.reports?.length || entry.reason !== entry.line;
const moved = (entry) => (entry.phase_from && entry.phase_from !== entry.phase_to ? `${phase(entry.phase_from)} → ${phase(entry.phase_to)}, ` : "");

// `numbers`: entry -> the figure that its line carries in every plot.
export function Journal({ entries, numbers }) {
  const [all, setAll] = useState(false);
  const shown = all ? entries : entries.slice(0, 12);
  return html`<ol class="journal">${shown.map((entry) => html`<li key=${entry.id || `${entry.at}`}><time dateTime=${new Date(entry.at * 1000).toISOString()}>${moment(entry.at)}</time>
    <div>${numbers?.get(entry) ? html`<span class="mark" title="its line in the plots">${numbers.get(entry)}</span> ` : ""}<span class="what">${words(entry.action)}</span> <span class="soft">by ${entry.actor} · ${moved(entry)}${share(entry.weight_bp)}</span><br />${entry.line}
    ${told(entry) ? html`<${Frozen} entry=${entry} />` : ""}</div></li>`)}</ol>
    ${entries.length > shown.length ? html`<button type="button" onClick=${() => setAll(true)}>Show all ${entries.length}</button>` : ""}
    ${entries.length ? "" : html`<p class="soft">Nothing was decided yet.</p>`}`;
}
