// Endpoints of one route as the workers see them, and what its versions use.
import { html } from "./preact-htm.js";
import { useRoute, Wide } from "./parts.js";
import { known, NONE, percent, whole, words } from "./words.js";

const SIGNALS = {
  memory: (value) => `${whole(Math.round(value / 2 ** 20))} MiB`,
  cpu: (value) => value.toFixed(2),
  gpu: (value) => percent(value, 0),
  gpu_memory: (value) => percent(value, 0),
  queue: (value) => value.toFixed(1),
};

function Usage({ versions }) {
  const rows = Object.entries(versions).filter(([, one]) => one.usage);
  if (!rows.length) return html`<p class="soft">Nobody asks the versions what they use: metrics: /metrics on the route does.</p>`;
  return html`<${Wide}><table class="usage"><thead><tr><th scope="col">Version</th>${Object.keys(SIGNALS).map((name) => html`<th scope="col" class="r" key=${name}>${words(name)}</th>`)}
    <th scope="col" class="r">Tokens an answer</th><th scope="col" class="r">A request costs</th><th scope="col">Trouble</th></tr></thead>
    <tbody>${rows.map(([name, { usage }]) => html`<tr key=${name}><th scope="row">${name}</th>
      ${Object.entries(SIGNALS).map(([signal, said]) => html`<td class="r" key=${signal}>${known(usage.signals[signal]) ? said(usage.signals[signal]) : NONE}</td>`)}
      <td class="r">${usage.answers ? whole(Math.round((usage.tokens_in + usage.tokens_out) / usage.answers)) : NONE}</td>
      <td class="r">${known(usage.per_request) ? usage.per_request.toPrecision(4) : NONE}</td><td>${usage.trouble || NONE}</td></tr>`)}</tbody></table></${Wide}>`;
}

export function Backends({ route }) {
  const told = useRoute(route);
  if (!told) return html`<p class="soft">asking …</p>`;
  const rows = Object.entries(told.versions).flatMap(([name, one]) => one.endpoints.map((endpoint) => [name, endpoint]));
  return html`<h2>Backends</h2><${Wide}><table><thead><tr><th scope="col">Endpoint</th><th scope="col">Version</th><th scope="col">State</th><th scope="col" class="r">In flight</th><th scope="col" class="r">Connections</th><th scope="col">Last error</th></tr></thead>
    <tbody>${rows.map(([name, one]) => html`<tr key=${`${name} ${one.endpoint}`}><th scope="row"><code>${one.endpoint}</code></th><td>${name}</td>
      <td><span class=${`badge ${one.ejected || !one.healthy ? "bad" : "good"}`}>${one.ejected ? "ejected" : one.healthy ? "up" : "down"}</span></td>
      <td class="r">${whole(one.in_flight)}</td><td class="r">${whole(one.open_connections)}</td><td>${one.last_error || NONE}</td></tr>`)}</tbody></table></${Wide}>
    <h2>What versions use</h2><${Usage} versions=${told.versions} />`;
}
