// Endpoints of one route as the workers see them.
import { html } from "./preact-htm.js";
import { useRoute } from "./parts.js";
import { NONE, whole } from "./words.js";

export function Backends({ route }) {
  const told = useRoute(route);
  if (!told) return html`<p class="soft">asking …</p>`;
  const rows = Object.entries(told.versions).flatMap(([name, one]) => one.endpoints.map((endpoint) => [name, endpoint]));
  return html`<h2>Backends</h2><div class="scroll"><table><thead><tr><th scope="col">Endpoint</th><th scope="col">Version</th><th scope="col">State</th><th scope="col" class="r">In flight</th><th scope="col" class="r">Connections</th><th scope="col">Last error</th></tr></thead>
    <tbody>${rows.map(([name, one]) => html`<tr key=${`${name} ${one.endpoint}`}><th scope="row"><code>${one.endpoint}</code></th><td>${name}</td>
      <td><span class=${`badge ${one.ejected || !one.healthy ? "bad" : "good"}`}>${one.ejected ? "ejected" : one.healthy ? "up" : "down"}</span></td>
      <td class="r">${whole(one.in_flight)}</td><td class="r">${whole(one.open_connections)}</td><td>${one.last_error || NONE}</td></tr>`)}</tbody></table></div>`;
}
