// Data and usage of one route: features and answers beside their reference, what versions use.
import { html } from "./preact-htm.js";
import { useRoute } from "./parts.js";
import { known, lasts, moment, NONE, percent, whole, words } from "./words.js";

const SIGNALS = {
  memory: (value) => `${whole(Math.round(value / 2 ** 20))} MiB`,
  cpu: (value) => value.toFixed(2),
  gpu: (value) => percent(value, 0),
  gpu_memory: (value) => percent(value, 0),
  queue: (value) => value.toFixed(1),
};
const more = (part) => (known(part) ? `+${percent(part)}` : NONE);

function Usage({ versions }) {
  const rows = Object.entries(versions).filter(([, one]) => one.usage);
  if (!rows.length) return html`<p class="soft">Nobody asks the versions what they use: metrics: /metrics on the route does.</p>`;
  return html`<div class="scroll"><table class="usage"><thead><tr><th scope="col">Version</th>${Object.keys(SIGNALS).map((name) => html`<th scope="col" class="r" key=${name}>${words(name)}</th>`)}
    <th scope="col" class="r">Tokens an answer</th><th scope="col" class="r">A request costs</th><th scope="col">Trouble</th></tr></thead>
    <tbody>${rows.map(([name, { usage }]) => html`<tr key=${name}><th scope="row">${name}</th>
      ${Object.entries(SIGNALS).map(([signal, said]) => html`<td class="r" key=${signal}>${known(usage.signals[signal]) ? said(usage.signals[signal]) : NONE}</td>`)}
      <td class="r">${usage.answers ? whole(Math.round((usage.tokens_in + usage.tokens_out) / usage.answers)) : NONE}</td>
      <td class="r">${known(usage.per_request) ? usage.per_request.toPrecision(4) : NONE}</td><td>${usage.trouble || NONE}</td></tr>`)}</tbody></table></div>`;
}

function Signal({ one }) {
  const sizes = one.sizes, seen = Object.keys(sizes).length > 0;
  return html`<tr><th scope="row">${one.name}${one.segment ? html` <span class="soft">${one.segment}</span>` : ""}</th><td>${one.output ? "answers" : "requests"}</td>
    <td class="r">${seen ? sizes.distribution.toFixed(3) : one.learnt ? "not enough yet" : "learning"}</td>
    <td class="r">${more(sizes.nulls)}</td><td class="r">${more(sizes.type)}</td><td class="r">${more(sizes.outside)}</td>
    <td class="r">${known(one.limit_in_s) ? lasts(one.limit_in_s) : NONE}</td><td>${one.text || NONE}</td></tr>`;
}

function Monitors({ told }) {
  const lasting = told.alarms.map((alarm) => html`<li key=${alarm.sentence} class=${alarm.accepted ? "" : "bad"}>since ${moment(alarm.since)}${alarm.accepted ? ", accepted" : ""}: ${alarm.sentence}</li>`);
  const over = told.over.slice(-5).map((alarm) => html`<li key=${`${alarm.since} ${alarm.sentence}`}>from ${moment(alarm.since)}: ${alarm.sentence}</li>`);
  return html`<p class="soft">${whole(told.requests)} sampled requests beside ${told.reference}.</p>
    ${told.trouble ? html`<p class="standing">${told.trouble}</p>` : ""}
    ${lasting.length || over.length ? html`<ul class="facts">${lasting}${over}</ul>` : html`<p>Nothing has changed.</p>`}
    <div class="scroll"><table class="signals"><thead><tr><th scope="col">Signal</th><th scope="col">Of</th><th scope="col" class="r">PSI</th><th scope="col" class="r">Null</th>
      <th scope="col" class="r">Type</th><th scope="col" class="r">Outside</th><th scope="col" class="r">Reaches the limit in</th><th scope="col">Last look</th></tr></thead>
      <tbody>${told.signals.map((one) => html`<${Signal} key=${`${one.name} ${one.output} ${one.segment}`} one=${one} />`)}</tbody></table></div>`;
}

export function Data({ route }) {
  const told = useRoute(route);
  if (!told) return html`<p class="soft">asking …</p>`;
  return html`<h2>Data</h2>
    ${told.monitors ? html`<${Monitors} told=${told.monitors} />` : html`<p class="soft">Nobody watches the data: monitors: on the route does.</p>`}
    <h2>What versions use</h2><${Usage} versions=${told.versions} />`;
}
