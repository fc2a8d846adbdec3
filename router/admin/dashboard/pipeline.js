// Which route feeds which, which version each runs, and which of them moved first.
import { html } from "./preact-htm.js";
import { usePolled, Verdict, Wide } from "./parts.js";
import { known, moment, NONE, percent, phase, share, whole } from "./words.js";

const AGAIN_MS = 3_000;
const WIDTH = 230, HEIGHT = 92, ACROSS = 150, BETWEEN = 26, EDGE = 6; // pixels of a box, and around it
const CHARS = 26; // of a name in a box; the whole one is beside it in the table
const TONES = { "": "none", pass: "good", fail: "bad", error: "bad" };
const cut = (text) => (text.length <= CHARS ? text : `${text.slice(0, CHARS - 1)}…`);
const runs = (one) => (one.candidate && one.weight_bp ? `${one.stable}, ${one.candidate} at ${share(one.weight_bp)}` : one.candidate && one.phase ? `${one.stable}, ${one.candidate} ${phase(one.phase)}` : one.stable);

// How far each route is from those that nobody feeds; a ring ends where it began.
export function depths(routes, feeds) {
  const deep = new Map(routes.map((one) => [one.route, 0]));
  for (let turn = 1; turn < routes.length; turn += 1) {
    for (const { feeder, fed } of feeds) {
      const wanted = deep.get(feeder) + 1;
      if (wanted > deep.get(fed) && wanted < routes.length) deep.set(fed, wanted);
    }
  }
  return deep;
}

// The place of each box, from left to right in the order in which predictions are made.
export function places(routes, feeds) {
  const deep = depths(routes, feeds), rows = new Map(), found = new Map();
  for (const one of routes) {
    const column = deep.get(one.route), row = rows.get(column) ?? 0;
    rows.set(column, row + 1);
    found.set(one.route, { x: EDGE + column * (WIDTH + ACROSS), y: EDGE + row * (HEIGHT + BETWEEN) });
  }
  return found;
}

function Box({ one, at, first }) {
  return html`<a href=${`#/route/${encodeURIComponent(one.route)}`} class=${first ? "box first" : "box"}>
    <rect x=${at.x} y=${at.y} width=${WIDTH} height=${HEIGHT} rx="8" />
    <text x=${at.x + 12} y=${at.y + 25} class="name">${cut(one.route)}</text>
    <text x=${at.x + 12} y=${at.y + 48}>${cut(runs(one))}</text>
    <text x=${at.x + 12} y=${at.y + 71} class="soft">${first ? "▲ moved first, " : ""}${known(one.moved_at) ? moment(one.moved_at).slice(first ? 11 : 0) : "has not moved"}</text></a>`;
}

function Arrow({ feed, from, to }) {
  const back = to.x <= from.x; // a ring: below the boxes, and back
  const [x, y, u, v] = [from.x + WIDTH, from.y + HEIGHT / 2, to.x, to.y + HEIGHT / 2];
  const low = Math.max(from.y, to.y) + HEIGHT + BETWEEN / 2;
  const way = back ? `M${x - WIDTH / 2} ${from.y + HEIGHT}V${low}H${u + WIDTH / 2}V${to.y + HEIGHT + 8}` : `M${x} ${y}C${x + ACROSS / 2} ${y} ${u - ACROSS / 2} ${v} ${u - 8} ${v}`;
  const head = back ? `M${u + WIDTH / 2 - 5} ${to.y + HEIGHT + 10}l5 -9l5 9z` : `M${u - 10} ${v - 5}l9 5l-9 5z`;
  return html`<g class=${`arrow ${TONES[feed.verdict] ?? "hold"}`}><path d=${way} /><path d=${head} class="head" />
    ${back ? "" : html`<text x=${(x + u) / 2} y=${(y + v) / 2 - 8} class="soft">${cut(feed.by)}</text>`}</g>`;
}

function Drawing({ told }) {
  const at = places(told.routes, told.feeds), spots = [...at.values()];
  const width = Math.max(...spots.map((one) => one.x)) + WIDTH + EDGE, height = Math.max(...spots.map((one) => one.y)) + HEIGHT + BETWEEN;
  const said = told.feeds.map((one) => `${one.feeder} feeds ${one.fed}`).join(", ");
  return html`<${Wide} label="the pipeline, drawn"><svg class="pipeline" role="group" aria-label=${said} width=${width} height=${height} viewBox=${`0 0 ${width} ${height}`}>
    ${told.feeds.map((feed) => html`<${Arrow} key=${`${feed.feeder} ${feed.fed}`} feed=${feed} from=${at.get(feed.feeder)} to=${at.get(feed.fed)} />`)}
    ${told.routes.map((one) => html`<${Box} key=${one.route} one=${one} at=${at.get(one.route)} first=${told.moved_first?.route === one.route} />`)}</svg></${Wide}>`;
}

function Routes({ routes }) {
  return html`<${Wide}><table class="runs"><thead><tr><th scope="col">Route</th><th scope="col">Runs</th><th scope="col">Rollout</th><th scope="col">Moved</th><th scope="col">Why</th></tr></thead>
    <tbody>${routes.map((one) => html`<tr key=${one.route}><th scope="row"><a href=${`#/route/${encodeURIComponent(one.route)}`}>${one.route}</a></th><td>${runs(one)}</td><td>${phase(one.phase)}</td>
      <td class="nowrap">${known(one.moved_at) ? moment(one.moved_at) : NONE}</td><td>${one.moved || NONE}</td></tr>`)}</tbody></table></${Wide}>`;
}

function Feed({ feed }) {
  const all = feed.joined + feed.unjoined;
  return html`<section class="feed"><h3>${feed.feeder} feeds ${feed.fed}</h3>
    <p class="soft">Joined by ${feed.by}${known(feed.within_s) ? `, within ${whole(feed.within_s / 3600)} h` : ""}: of ${whole(all)} requests the maker of ${whole(feed.joined)} is known${all ? ` (${percent(feed.joined / all)})` : ""}.</p>
    ${feed.verdict ? html`<p><${Verdict} name=${feed.verdict} /> ${feed.sentence}</p>` : html`<p class="soft">No gate cascade: ${feed.feeder} is not taken back for what ${feed.fed} suffers.</p>`}
    ${feed.arms.length ? html`<${Wide}><table class="arms"><thead><tr><th scope="col">Input made by</th><th scope="col" class="r">Requests</th><th scope="col" class="r">Errors</th><th scope="col" class="r">Faulty rows</th><th scope="col" class="r">Mean score</th><th scope="col" class="r">Wrong, of those with a truth</th></tr></thead>
      <tbody>${feed.arms.map((arm) => html`<tr key=${arm.version}><th scope="row">${feed.feeder} ${arm.version}</th><td class="r">${whole(arm.requests)}</td><td class="r">${whole(arm.errors)}</td>
        <td class="r">${whole(arm.faulty)} of ${whole(arm.rows)}</td><td class="r">${known(arm.score) ? arm.score.toPrecision(3) : NONE}</td><td class="r">${arm.labels ? `${whole(arm.wrong)} of ${whole(arm.labels)} (${percent(arm.wrong / arm.labels)})` : NONE}</td></tr>`)}</tbody></table></${Wide}>` : ""}</section>`;
}

export function Pipeline() {
  const [told, missing] = usePolled("/api/v1/pipeline", AGAIN_MS);
  if (!told) return html`<main tabindex="-1"><h1>Pipeline</h1>${missing ? html`<p class="empty">${missing}</p>` : html`<p class="soft">asking …</p>`}</main>`;
  if (!told.feeds.length) return html`<main tabindex="-1"><h1>Pipeline</h1><p class="empty">No route feeds another. <code>feeds: [ROUTE]</code> on a route says that its answers are in requests of that one.</p></main>`;
  return html`<main tabindex="-1"><h1>Pipeline</h1>
    <p class="lead">${told.moved_first ? told.moved_first.sentence : "Nothing has moved in the last day."}</p>
    <${Drawing} told=${told} /><h2>Versions</h2><${Routes} routes=${told.routes} /><h2>What became of what was made</h2>
    ${told.feeds.map((feed) => html`<${Feed} key=${`${feed.feeder} ${feed.fed}`} feed=${feed} />`)}</main>`;
}
