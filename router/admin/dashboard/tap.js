// Predictions as they come, from the prediction log: sampled, redacted, for those who may read rows.
import { html, useEffect, useRef, useState } from "./preact-htm.js";
import { read } from "./link.js";
import { Choice } from "./parts.js";
import { known, milliseconds, moment, NONE, percent, whole } from "./words.js";

const AGAIN_MS = 2_000;
const KEPT = 100; // requests that are shown, the newest
const ASKED = 200; // rows of one question
const OVERLAP_S = 3; // rows are written when their answers are known, not in the order of arrival
const CHARS = 240;

const SHOWS = [["all", "All"], ["failed", "Failed"], ["differs", "Versions differ"], ["truth", "With a truth"]];
const said = (row) => row.prediction ?? row.score;
const text = (value) => {
  const made = typeof value === "string" ? value : JSON.stringify(value);
  return made.length > CHARS ? `${made.slice(0, CHARS)} …` : made;
};
const key = (row) => `${row.request_id} ${row.row}`;
const differs = (one) => one.copies.some((copy) => said(copy) !== said(one.row));
const failed = (row) => Boolean(row.error);
const fits = {
  all: () => true,
  failed: (one) => failed(one.row) || one.copies.some(failed),
  differs,
  truth: (one) => known(one.row.label),
};

// A request with what copies of it were answered; a copy alone waits for the one that was served.
function joined(known_, rows) {
  const found = new Map(known_.map((one) => [key(one.row), one]));
  for (const row of rows.filter((one) => one.role !== "shadow")) found.set(key(row), { row, copies: found.get(key(row))?.copies ?? [] });
  for (const copy of rows.filter((one) => one.role === "shadow")) {
    const one = found.get(key(copy));
    if (one) found.set(key(copy), { ...one, copies: [...one.copies.filter((other) => other.version !== copy.version), copy] });
  }
  return [...found.values()].sort((a, b) => b.row.time - a.row.time).slice(0, KEPT);
}

function Said({ row }) {
  if (failed(row)) return html`<span class="no">✕ ${row.error}${row.status ? `, ${row.status}` : ""}</span>`;
  const score = known(row.score) && row.score !== row.prediction ? ` (${Number(row.score.toPrecision(4))})` : "";
  return known(said(row)) ? html`<code>${text(said(row))}${known(row.prediction) ? score : ""}</code>` : html`<span class="no">nothing readable</span>`;
}

function Line({ one }) {
  const { row, copies } = one;
  return html`<tr class=${failed(row) ? "failed" : differs(one) ? "differs" : ""}><th scope="row"><time>${moment(row.time)}</time><br /><code class="soft">${row.request_id}${row.rows > 1 ? ` · ${row.row + 1} of ${row.rows}` : ""}</code></th>
    <td data-heading="Version" class="nowrap">${row.version} <span class="soft">${row.role}${row.weight ? ` at ${percent(row.weight, 0)}` : ""}</span></td>
    <td data-heading="Asked"><code>${Object.keys(row.features).length ? text(row.features) : NONE}</code>${row.segment ? html` <span class="soft">${row.segment}</span>` : ""}</td>
    <td data-heading="Answered"><${Said} row=${row} />${copies.map((copy) => html`<br /><span class="soft" key=${copy.version}>copy, ${copy.version}: </span><${Said} row=${copy} />${said(copy) === said(row) ? "" : html` <span class="badge hold">differs</span>`}`)}</td>
    <td data-heading="Truth">${known(row.label) ? html`<code>${text(row.label)}</code>` : NONE}</td>
    <td data-heading="Took" class="r nowrap">${milliseconds(row.latency_s)}</td></tr>`;
}

export function Tap({ route, summary, versions, query, go }) {
  const [lines, setLines] = useState([]), [late, setLate] = useState([]), [missing, setMissing] = useState(""), [held, setHeld] = useState(false), [asked, setAsked] = useState(false);
  const table = useRef(null), newest = useRef(0), holds = useRef(false);
  holds.current = held;
  useEffect(() => {
    let gone = false;
    const look = async () => {
      if (document.hidden) return;
      try {
        const since = Math.max(newest.current - OVERLAP_S, 0);
        const { rows } = await read(`/api/v1/predictions?route=${encodeURIComponent(route)}&since=${since}&limit=${ASKED}`);
        if (gone) return;
        newest.current = Math.max(newest.current, ...rows.map((row) => row.time));
        const still = holds.current || table.current?.scrollTop > 0 || table.current?.contains(document.activeElement); // nothing moves under a hand
        if (still) setLate((old) => joined(old, rows));
        else setLines((old) => joined(old, rows));
        setMissing("");
      } catch (error) { if (!gone && error.status !== 503) setMissing(error.message); }
      if (!gone) setAsked(true);
    };
    look();
    const every = setInterval(look, AGAIN_MS);
    return () => { gone = true; clearInterval(every); };
  }, [route]);
  const release = () => {
    setLines((old) => joined(old, late.toReversed().flatMap((one) => [...one.copies, one.row])));
    setLate([]);
    setHeld(false);
    if (table.current) table.current.scrollTop = 0;
  };
  const shown = new Set(lines.map((one) => key(one.row)));
  const fresh = late.filter((one) => !shown.has(key(one.row))).length;
  const show = query.get("show") ?? "all", version = query.get("version") ?? "";
  const set = (name, value, none) => { const next = new URLSearchParams(query); if (value === none) next.delete(name); else next.set(name, value); go(next); };
  const names = [["", "Every version"], ...[...new Set([...Object.keys(versions), summary.stable])].map((name) => [name, name])];
  const found = lines.filter((one) => fits[show]?.(one) ?? true).filter((one) => !version || one.row.version === version || one.copies.some((copy) => copy.version === version));
  return html`<h2>Live tap</h2>
    <p class="soft">The newest ${KEPT} logged predictions: of the share that log.sample keeps, without the fields that log.redact names. Bodies are not shown.</p>
    <div class="bar"><${Choice} label="Show" choices=${SHOWS} chosen=${show} choose=${(value) => set("show", value, "all")} />
      <${Choice} label="Version" choices=${names} chosen=${version} choose=${(value) => set("version", value, "")} />
      <button type="button" aria-pressed=${String(held)} onClick=${() => (held ? release() : setHeld(true))}>${held ? "Go on" : "Hold still"}</button>
      <span class="soft" role="status">${fresh ? html`${whole(fresh)} new wait ${held ? "" : html`<button type="button" onClick=${release}>Show them</button>`}` : ""}</span></div>
    ${missing ? html`<p class="empty">${missing}</p>` : !lines.length ? html`<p class="empty">${asked ? "No prediction is logged yet." : "asking …"}</p>` : ""}
    ${lines.length && !found.length ? html`<p class="empty">None of the newest ${lines.length} is like that.</p>` : ""}
    ${found.length ? html`<div class="scroll window" ref=${table} tabindex="0" role="region" aria-label="Predictions"><table class="tap"><thead><tr><th scope="col">When, request</th><th scope="col">Version</th><th scope="col">Asked</th><th scope="col">Answered</th><th scope="col">Truth</th><th scope="col" class="r">Took</th></tr></thead>
      <tbody>${found.map((one) => html`<${Line} key=${key(one.row)} one=${one} />`)}</tbody></table></div>` : ""}`;
}
