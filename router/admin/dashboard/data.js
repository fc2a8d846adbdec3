// Data quality of one route: what clients ask and versions answer beside their reference, over time.
import { html, useState } from "./preact-htm.js";
import { mayOperate, post, say } from "./link.js";
import { Gate, Question, usePolled, Wide } from "./parts.js";
import { markedSince, marksOf, Plot } from "./plots.js";
import { known, lasts, moment, NONE, percent, whole, words } from "./words.js";

const AGAIN_MS = 5_000;
const OVER = 10; // changes that are over and still told
const GATES = new Set(["nulls", "classes", "scores", "positive_rate", "fairness", "agreement"]);
const ASKS = { distribution: "distribution", nulls: "null or missing", type: "another type", outside: "unseen or out of range" };
// A change by the shape of its curve, as people call it.
const SHAPES = { sudden: "step", gradual: "ramp", temporary: "pulse", over: "over", "from the start": "from the start" };
const shape = (course) => (SHAPES[course] === course || !SHAPES[course] ? words(course) : `${SHAPES[course]}, ${course}`);
const index = (value) => (known(value) ? value.toFixed(3) : NONE);
const chance = (value) => (!known(value) ? NONE : value < 0.0001 ? "< 0.0001" : value.toPrecision(2));
const id = (one) => `${one.segment} ${one.name}`;

function Accept({ route, close }) {
  const [reason, setReason] = useState(""), [refusal, setRefusal] = useState("");
  const submit = async (event) => {
    event.preventDefault();
    try {
      const done = await post("/api/v1/accept", { route, reason });
      say(`${done.accepted} change${done.accepted === 1 ? "" : "s"} accepted: nothing waits for that any more`, "good");
      close();
    } catch (error) { setRefusal(error.message); }
  };
  return html`<${Question} title=${`Accept how the data of ${route} are now?`} close=${close}><form onSubmit=${submit}>
    <p>The changes that last hold the rollout no more. They stay on this page, and a further change is told again.</p>
    <label>Reason, for the journal <input class="wide" value=${reason} onInput=${(e) => setReason(e.target.value)} maxlength="500" placeholder="why" /></label>
    ${refusal ? html`<p class="warn" role="alert">${refusal}</p>` : ""}
    <div class="bar end"><button type="button" onClick=${close}>Cancel</button><button class="primary">Accept</button></div></form></${Question}>`;
}

// Checks of one signal that moved alike are one line.
function grouped(alarms) {
  const found = new Map();
  for (const alarm of alarms) {
    const name = `${alarm.signal} ${alarm.cause} ${alarm.course} ${alarm.accepted} ${known(alarm.until)}`;
    found.set(name, [...(found.get(name) ?? []), alarm]);
  }
  return [...found.values()];
}

function Alarms({ told, route }) {
  const [asked, setAsked] = useState(false);
  const item = (group, css) => {
    const [first] = group, since = Math.min(...group.map((alarm) => alarm.since));
    return html`<li key=${`${first.signal} ${first.cause} ${since}`} class=${css}><span class=${`badge ${css || "good"}`}>${shape(first.course)}</span> <strong>${first.cause}</strong> in <strong>${first.signal}</strong>: ${group.map((alarm) => ASKS[alarm.check] ?? alarm.check).join(", ")};
      since ${moment(since)}${known(first.until) ? ` until ${moment(first.until)}` : ""}${first.accepted ? ", accepted" : ""}<details><summary>the numbers</summary>${group.map((alarm) => html`<p class="soft" key=${alarm.check}>${alarm.sentence}</p>`)}</details></li>`;
  };
  const tone = ([first]) => (known(first.until) ? "" : first.accepted ? "hold" : "bad");
  const groups = [...grouped(told.alarms), ...grouped(told.over.slice(-OVER)).toReversed()];
  const open = told.alarms.some((alarm) => !alarm.accepted);
  return html`${groups.length ? html`<ul class="facts alarms">${groups.map((group) => item(group, tone(group)))}</ul>` : html`<p>Nothing has changed.</p>`}
    ${open && mayOperate() ? html`<p><button type="button" data-verb="accept" onClick=${() => setAsked(true)}>Data are so from now on</button></p>` : ""}
    ${asked ? html`<${Accept} route=${route} close=${() => setAsked(false)} />` : ""}`;
}

// PSI over time as a small line beside its figure, which says the same.
function Spark({ values, limit }) {
  if (values.length < 2) return "";
  const top = Math.max(limit * 1.5, ...values), y = (v) => (20 - (v / top) * 18).toFixed(1);
  return html`<svg class="spark" viewBox="0 0 90 22" aria-hidden="true"><line x1="0" x2="90" y1=${y(limit)} y2=${y(limit)} class="limit" />
    <polyline points=${values.map((v, i) => `${(i / (values.length - 1) * 90).toFixed(1)},${y(v)}`).join(" ")} /></svg>`;
}

function state(one, alarms) {
  const own = alarms.filter((alarm) => alarm.signal === (one.segment ? `${one.name} [${one.segment}]` : one.name) && !known(alarm.until));
  if (own.length) return [own.some((alarm) => !alarm.accepted) ? "bad" : "hold", "✕", [...new Set(own.map((alarm) => SHAPES[alarm.course] ?? alarm.course))].join(", ")];
  if (!one.learnt) return ["hold", "…", "learning"];
  if (!one.checks.length) return ["hold", "…", "not enough yet"];
  if (one.checks.some((check) => check.cyclic)) return ["good", "↻", "as this hour of the week"];
  return one.checks.some((check) => check.size >= check.limit) ? ["hold", "?", "off, not sure yet"] : ["good", "✓", "as the reference"];
}

function Row({ one, alarms, chosen, choose }) {
  const size = Object.fromEntries(one.checks.map((check) => [check.check, check])), whole_ = size.distribution;
  const [tone, sign, text] = state(one, alarms);
  const more = (check) => html`<td class="r" data-heading=${ASKS[check]}>${size[check] ? html`<span class=${size[check].size >= size[check].limit ? "no" : ""}>+${percent(size[check].size)}</span>` : NONE}</td>`;
  return html`<tr class=${chosen ? "chosen" : ""}><th scope="row"><button type="button" class="link" aria-expanded=${String(chosen)} onClick=${choose}>${one.name}</button>${one.segment ? html` <span class="soft">${one.segment}</span>` : ""} <span class="soft">${one.output ? "answers" : "requests"}</span></th>
    <td data-heading="State"><span class=${`badge ${tone}`}><span aria-hidden="true">${sign}</span> ${text}</span></td>
    <td class="r" data-heading="PSI"><${Spark} values=${one.psi} limit=${whole_?.limit ?? 0.1} /> <span class=${whole_ && whole_.size >= whole_.limit ? "no" : ""}>${index(whole_?.size)}</span></td>
    <td class="r" data-heading="JS">${index(one.jensen_shannon)}</td><td class="r" data-heading="KS">${index(one.ks)}</td><td class="r" data-heading="By chance">${chance(one.chance)}</td>
    ${more("nulls")}${more("type")}${more("outside")}<td class="r" data-heading="Limit in">${known(one.limit_in_s) ? lasts(one.limit_in_s) : NONE}</td></tr>`;
}

const SIDES = [["reference", "Reference", "vx"], ["now", "Last window", "v4"], ["stable", "Stable", "v0"], ["candidate", "Candidate", "v1"]];

export function Cells({ chosen }) {
  const columns = { reference: chosen.reference, now: chosen.now, stable: chosen.arms.stable?.cells, candidate: chosen.arms.candidate?.cells };
  const sides = SIDES.filter(([name]) => columns[name]?.length);
  const most = Math.max(...sides.flatMap(([name]) => columns[name]), 0.01);
  return html`<${Wide}><table class="cells"><caption>Share of the values in each ${chosen.cells[0]?.startsWith("below") ? "range of the reference's tenths" : "category"}</caption>
    <thead><tr><th scope="col">Values</th>${sides.map(([name, label]) => html`<th scope="col" key=${name}>${label}</th>`)}</tr></thead>
    <tbody>${chosen.cells.map((cell, i) => html`<tr key=${cell}><th scope="row">${cell}</th>${sides.map(([name, , css]) => html`<td key=${name} class=${css}><span class="share" style=${{ width: `${(columns[name][i] / most) * 7}rem` }}></span> ${percent(columns[name][i])}</td>`)}</tr>`)}</tbody></table></${Wide}>`;
}

function Arms({ arms }) {
  const rows = SIDES.filter(([name]) => arms[name]);
  if (!rows.length) return html`<p class="soft">No attempt of a candidate is live, so there are no two arms.</p>`;
  return html`<${Wide}><table><caption>Each arm since the attempt began, beside the reference</caption><thead><tr><th scope="col">Arm</th><th scope="col" class="r">Rows</th><th scope="col" class="r">PSI</th><th scope="col" class="r">Null or missing</th><th scope="col" class="r">Another type</th><th scope="col" class="r">Unseen or out of range</th></tr></thead>
    <tbody>${rows.map(([name, label]) => html`<tr key=${name}><th scope="row">${label}</th><td class="r">${whole(arms[name].rows)}</td><td class="r">${index(arms[name].psi)}</td><td class="r">${percent(arms[name].nulls)}</td><td class="r">${percent(arms[name].type)}</td><td class="r">${percent(arms[name].outside)}</td></tr>`)}</tbody></table></${Wide}>`;
}

function Detail({ one, chosen, marks }) {
  const { course } = chosen, limits = Object.fromEntries(one.checks.map((check) => [check.check, check.limit]));
  const psi = limits.distribution ?? 0.1, points = limits.nulls ?? 0.02;
  const top = (at_least) => (_u, _low, high) => [0, Math.max((high ?? 0) * 1.15, at_least * 1.4)];
  const plots = [
    ["How far its distribution lies from the reference", "PSI (less what chance gives), Jensen-Shannon and, where PSI is near its limit, Kolmogorov-Smirnov.",
      [["PSI", "--v0", course.psi, 2.5], ["Jensen-Shannon", "--v4", course.jensen_shannon, 1], ["KS", "--v2", course.ks, 1]], psi, (v) => v.toFixed(2), `a change from PSI ${psi}`],
    ["Values that are wrong", "Points above the reference's share.",
      [["null or missing", "--v3", course.nulls, 2], ["another type", "--v2", course.type, 2], ["unseen or out of range", "--v4", course.outside, 2]], points, (v) => percent(v, 1), `a change from +${percent(points, 0)}`],
  ];
  return html`<section class="detail" aria-label=${`${chosen.name} in detail`}><h3>${chosen.name}${chosen.segment ? `, ${chosen.segment}` : ""}</h3>
    ${one.checks.map((check) => html`<p class="soft" key=${check.check}>${ASKS[check.check] ?? check.check}: ${check.text}${check.cyclic ? "; as this hour of the season always is" : ""}, ${check.chance < 0.0001 ? "less than 1 in 10,000" : percent(check.chance, 2)} by chance</p>`)}
    ${course.at.length > 1 ? html`<div class="plots">${plots.map(([title, caption, lines, limit, format, label]) => html`<${Plot} key=${title} title=${title} caption=${caption} data=${[course.at, ...lines.map(([, , column]) => column)]}
      spec=${{ key: `${chosen.segment} ${chosen.name} ${title}`, marks, format, range: top(limit), limits: [{ value: limit, label, tone: "bad" }], series: lines.map(([name, css, , width]) => ({ label: name, colour: css, width, points: course.at.length < 60 })) }}
      legend=${lines.map(([name, css]) => [css.slice(2), name])} now=${lines.map(([name, , column]) => `${name} ${known(column.at(-1)) ? format(column.at(-1)) : NONE}`).join(", ")} />`)}</div>` : html`<p class="soft">Its curve begins with the second look.</p>`}
    <${Arms} arms=${chosen.arms} />${chosen.cells.length ? html`<${Cells} chosen=${chosen} />` : ""}</section>`;
}

// What the prediction log says of each version's answers and of what it was asked.
function Logged({ route }) {
  const [told] = usePolled(`/api/v1/routes/${encodeURIComponent(route)}/performance?span=86400`, AGAIN_MS);
  const names = told ? Object.keys(told.versions) : [];
  if (!names.length) return "";
  const features = Object.entries(told.inputs);
  return html`<h3>Answers of each version, logged in the last day</h3>
    <${Wide}><table class="answers"><thead><tr><th scope="col">Version</th><th scope="col" class="r">Predictions</th><th scope="col" class="r">Null</th><th scope="col" class="r">Unreadable</th><th scope="col" class="r">Without label and score</th><th scope="col" class="r">Mean score</th><th scope="col">Most said</th></tr></thead>
      <tbody>${names.map((name) => { const one = told.versions[name], { nulls, score } = one.metrics; return html`<tr key=${name}><th scope="row">${name}</th><td class="r">${whole(one.predictions)}</td>
        <td class="r">${nulls ? html`${percent(nulls.value, 2)}<br /><span class="soft">${percent(nulls.low, 2)} to ${percent(nulls.high, 2)}</span>` : NONE}</td><td class="r">${whole(one.unreadable)}</td><td class="r">${whole(one.missing)}</td>
        <td class="r">${score ? score.value.toPrecision(4) : NONE}</td><td>${Object.entries(one.classes).map(([label, n]) => `${label}: ${whole(n)}`).join(", ") || NONE}</td></tr>`; })}</tbody></table></${Wide}>
    ${features.length ? html`<h3>What each version was asked</h3><${Wide}><table class="inputs"><thead><tr><th scope="col">Feature</th><th scope="col">Version</th><th scope="col" class="r">Missing</th><th scope="col" class="r">Mean</th><th scope="col" class="r">Least</th><th scope="col" class="r">Most</th><th scope="col" class="r">Different texts</th></tr></thead>
      <tbody>${features.flatMap(([feature, of]) => Object.entries(of).map(([name, one], n) => html`<tr key=${`${feature} ${name}`}><th scope="row">${n ? html`<span class="soft">${feature}</span>` : feature}</th><td>${name}</td><td class="r">${percent(one.missing_share, 2)}</td>
        ${[one.mean, one.least, one.most].map((value, i) => html`<td class="r" key=${i}>${known(value) ? Number(value.toPrecision(4)) : NONE}</td>`)}<td class="r">${one.different_texts ? whole(one.different_texts) : NONE}</td></tr>`))}</tbody></table></${Wide}>` : ""}`;
}

export function DataQuality({ route, rollout, journal, query, go }) {
  const name = query.get("signal") ?? "", segment = query.get("segment") ?? "";
  const asked = new URLSearchParams({ ...(name ? { signal: name } : {}), ...(segment ? { segment } : {}) });
  const [told, missing] = usePolled(`/api/v1/routes/${encodeURIComponent(route)}/data${asked.size ? `?${asked}` : ""}`, AGAIN_MS);
  const [before, setBefore] = useState(null); // so that the table stays while another signal is asked for
  if (told && told !== before) setBefore(told);
  const shown = told ?? before;
  const gates = rollout?.gates.filter((gate) => GATES.has(gate.gate)) ?? [];
  const choose = (one) => go(id(one) === `${segment} ${name}` ? new URLSearchParams() : new URLSearchParams({ signal: one.name, ...(one.segment ? { segment: one.segment } : {}) }));
  const chosen = shown?.chosen, of = chosen && shown.signals.find((one) => id(one) === id(chosen));
  return html`<h2>Data quality</h2>${missing ? html`<p class="empty">${missing}</p>` : ""}
    ${!shown ? html`<p class="soft">asking …</p>` : !shown.watched ? html`<p class="empty">Nobody watches the data of this route: <code>monitors: {}</code> on it does.</p>` : html`
      <p class="soft">${whole(shown.requests)} sampled requests; the last ${lasts(shown.window_s)} are held against ${shown.reference} every ${lasts(shown.slot_s)}.</p>
      ${shown.trouble ? html`<p class="warn">${shown.trouble}</p>` : ""}
      <${Alarms} told=${shown} route=${route} />
      <h3>Signals</h3><p class="soft">A name opens its curves, its arms and its distribution.</p>
      <${Wide}><table class="signals"><thead><tr><th scope="col">Signal</th><th scope="col">State</th><th scope="col" class="r">PSI</th><th scope="col" class="r">JS</th><th scope="col" class="r">KS</th><th scope="col" class="r">By chance</th>
        <th scope="col" class="r">Null</th><th scope="col" class="r">Type</th><th scope="col" class="r">Unseen, out of range</th><th scope="col" class="r">Limit in</th></tr></thead>
        <tbody>${shown.signals.map((one) => html`<${Row} key=${id(one)} one=${one} alarms=${shown.alarms} chosen=${id(one) === `${segment} ${name}`} choose=${() => choose(one)} />`)}</tbody></table></${Wide}>
      ${name && chosen && of ? html`<${Detail} one=${of} chosen=${chosen} marks=${marksOf(chosen.course.at.length ? markedSince(journal, chosen.course.at[0]) : new Map())} />` : ""}`}
    ${gates.length ? html`<h3>Gates on answers</h3><ul class="gates">${gates.map((gate) => html`<${Gate} key=${gate.name} gate=${gate} />`)}</ul>` : ""}
    <${Logged} route=${route} />`;
}
