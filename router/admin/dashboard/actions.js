// Every verb: what it will do, a question, a reason. Rollback alone asks nothing: one button, one key.
import { html, useEffect, useState } from "./preact-htm.js";
import { mayAdmin, order, post, read, readJournal, Refused, say, state } from "./link.js";
import { Question, usePolled } from "./parts.js";
import { moment, phase, rate, share } from "./words.js";

const VERBS = {
  promote: ["Promote step", (r) => `ends the present step now; ${r.candidate} goes on to the next one.`],
  full: ["Promote fully", (r) => `skips all steps that are left: ${r.candidate} gets 100 % at once, then it bakes.`],
  switch: ["Switch", (r) => `sends every new request to ${r.candidate}, in one moment.`],
  pause: ["Pause", (r) => `stands still at ${share(r.weight_bp)}; gates go on, and may still take it back.`],
  resume: ["Resume", () => "goes on with what remained of the step."],
  "set-weight": ["Set share", (r) => `gives ${r.candidate} another share for a while; then the step's own returns.`],
  abort: ["Abort", (r) => `gives up: all traffic to ${r.stable}; ${r.candidate} comes back only by a retry.`],
  retry: ["Retry", (r) => `starts ${r.candidate} again from the first step.`],
};
const ORDER = ["promote", "full", "switch", "pause", "resume", "set-weight", "abort", "retry"];
const possible = (rollout, verb) => (verb === "full" ? rollout.commands.includes("promote") && rollout.strategy !== "shadow" : rollout.commands.includes(verb));
// What a promotion would pass over. The proof is asked for only where all traffic follows.
function unproven(rollout, verb) {
  const leads = verb !== "promote" || rollout.step === rollout.steps || rollout.phase === "baking";
  const found = rollout.gates.filter((gate) => !gate.dry_run && gate.verdict !== "pass" && (leads || gate.name !== "promotion"));
  return found.length ? found.map((gate) => gate.name).join(", ") : rollout.waits_for.startsWith("not enough yet") ? rollout.waits_for.replace("not enough yet: ", "") : "";
}

export async function rollBack(route, reason, more = {}) {
  const began = performance.now();
  try {
    // A rollback is wanted whatever happened meanwhile.
    const result = await order(route, "rollback", { reason: reason || "from the dashboard", ...more }, null);
    const took = (result.took_s * 1000).toFixed(0), all = (performance.now() - began).toFixed(0);
    say(`${result.reason}: in force in every worker after ${took} ms (${all} ms with the way there and back)`, "good");
  } catch (error) {
    say(`not rolled back: ${error.message}`);
  }
  readJournal();
}

function effectOf(result, rollout) {
  const before = share(rollout.weight_bp), after = share(result.weight_bp);
  const total = Object.values(rollout.versions).reduce((sum, one) => sum + one.requests_per_s, 0);
  const moved = Math.abs(result.weight_bp - rollout.weight_bp) / 10_000 * total;
  const traffic = before === after ? `traffic stays at ${after}` : `${rollout.candidate} goes from ${before} to ${after}, about ${rate(moved)}`;
  return `${traffic}; then ${phase(result.phase)}, step ${result.step} of ${rollout.steps}.`;
}

async function changesSince(route, revision) {
  const { entries } = await read(`/api/v1/journal?route=${encodeURIComponent(route)}&limit=20`);
  return entries.filter((entry) => entry.revision > revision);
}

export function Ask({ verb, route, rollout, close }) {
  const [title, effect] = VERBS[verb];
  const [seen, setSeen] = useState(rollout); // what the question is about stays still while it is asked
  const [told, setTold] = useState("asking the router what it would do …");
  const [refusal, setRefusal] = useState("");
  const [changes, setChanges] = useState(null);
  const [busy, setBusy] = useState(false);
  const [fields, setFields] = useState({ reason: "", weight: "", for: "30m", force: false, name: "" });
  const set = (name) => (event) => setFields({ ...fields, [name]: event.target.type === "checkbox" ? event.target.checked : event.target.value });
  const lacking = ["promote", "full", "switch"].includes(verb) ? unproven(seen, verb) : "";
  const command = verb === "full" ? "promote" : verb;
  const body = () => ({
    reason: fields.reason || "from the dashboard",
    ...(verb === "full" ? { full: true } : {}), ...(fields.force ? { force: true } : {}),
    ...(verb === "set-weight" && fields.weight ? { weight: fields.weight, for: fields.for } : {}),
  });
  useEffect(() => {
    let gone = false;
    const wait = setTimeout(async () => {
      try {
        const result = await order(route, command, { ...body(), dry_run: true }, null);
        if (!gone) { setTold(effectOf(result, seen)); setRefusal(""); }
      } catch (error) {
        if (!gone) { setTold(""); setRefusal(error.message); }
      }
    }, verb === "set-weight" ? 300 : 0);
    return () => { gone = true; clearTimeout(wait); };
  }, [fields.weight, fields.for, fields.force, seen]);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      const result = await order(route, command, body(), seen.revision);
      say(`${result.reason} (in force after ${(result.took_s * 1000).toFixed(0)} ms)`, "good");
      readJournal();
      close();
    } catch (error) {
      setRefusal(error.message);
      if (error instanceof Refused && error.status === 412) setChanges(await changesSince(route, seen.revision).catch(() => []));
      setBusy(false);
    }
  };
  const again = () => { setSeen(state.rollout ?? seen); setChanges(null); setRefusal(""); };
  const named = !lacking || fields.name === route;
  return html`<${Question} title=${`${title}: ${route}?`} close=${close}>
    <form onSubmit=${submit}>
      <p>This ${effect(seen)}</p>
      <p class="effect" role="status">${told}</p>
      ${verb === "set-weight" ? html`<div class="bar"><label>Share <input value=${fields.weight} onInput=${set("weight")} placeholder="25%" size="8" /></label>
        <label>for <input value=${fields.for} onInput=${set("for")} size="6" /></label></div><p class="soft">An empty share lifts the one that is in force.</p>` : ""}
      ${verb === "retry" ? html`<label class="check"><input type="checkbox" checked=${fields.force} onChange=${set("force")} /> even though it was tried too often or too soon</label>` : ""}
      ${lacking ? html`<p class="warn">Not proven: ${lacking}. You promote past that.</p>
        <label>Type the route's name <input id="route-name" value=${fields.name} onInput=${set("name")} autocomplete="off" placeholder=${route} /></label>` : ""}
      <label>Reason, for the journal <input class="wide" value=${fields.reason} onInput=${set("reason")} maxlength="500" placeholder="why" /></label>
      ${refusal ? html`<p class="warn" role="alert">${refusal}</p>` : ""}
      ${changes ? html`<div class="changes"><p>Since you looked (revision ${seen.revision}):</p>
        <ul>${changes.map((entry) => html`<li key=${entry.id}>${moment(entry.at)} ${entry.actor}: ${entry.line}</li>`)}</ul>
        <button type="button" onClick=${again}>Take that into account</button></div>` : ""}
      <div class="bar end"><button type="button" onClick=${close}>Cancel</button>
        <button class="primary" disabled=${busy || !named || Boolean(changes)}>${title}</button></div>
    </form></${Question}>`;
}

// `route` empty: everything.
export function AskFreeze({ route, frozen, close }) {
  const [reason, setReason] = useState(""), [lasting, setLasting] = useState(""), [refusal, setRefusal] = useState("");
  const [wholly, setWholly] = useState(false); // everything is frozen: to end it for one route does nothing
  useEffect(() => {
    if (route && frozen) read("/api/v1/health").then((health) => setWholly(Boolean(health.frozen?.actor)), () => {});
  }, []);
  const submit = async (event) => {
    event.preventDefault();
    try {
      await post("/api/v1/freeze", { frozen: !frozen, ...(route ? { route } : {}), reason, ...(lasting && !frozen ? { for: lasting } : {}) });
      close();
    } catch (error) { setRefusal(error.message); }
  };
  return html`<${Question} title=${frozen ? `End the freeze of ${route || "everything"}?` : `Freeze ${route || "everything"}?`} close=${close}>
    <form onSubmit=${submit}>
      <p>${frozen ? `${route ? "It" : "Every rollout that has no freeze of its own"} may advance again.` : `${route ? "Nothing of it grows" : "No rollout of any route grows"} until the freeze ends; rollbacks go on.`}</p>
      ${wholly ? html`<p class="warn">Everything is frozen, and that goes on: <a href="#/">Routes</a> ends it.</p>` : ""}
      ${frozen ? "" : html`<label>For <input value=${lasting} onInput=${(e) => setLasting(e.target.value)} placeholder="12h; empty: until it is ended" size="24" /></label>`}
      <label>Reason, for the journal <input class="wide" value=${reason} onInput=${(e) => setReason(e.target.value)} maxlength="500" placeholder="why" /></label>
      ${refusal ? html`<p class="warn" role="alert">${refusal}</p>` : ""}
      <div class="bar end"><button type="button" onClick=${close}>Cancel</button><button class="primary">${frozen ? "End the freeze" : "Freeze"}</button></div>
    </form></${Question}>`;
}

const VERSIONS_MS = 60_000; // the policy's versions, beside those of the rollout

export function Actions({ route, rollout, summary, stale }) {
  const [whole] = usePolled(`/api/v1/routes/${encodeURIComponent(route)}`, VERSIONS_MS);
  const [asked, setAsked] = useState(""), [reason, setReason] = useState(""), [to, setTo] = useState("");
  const mayGoBack = rollout?.commands.includes("rollback");
  const returning = rollout?.phase === "rolled_back" && mayGoBack; // in steps, as the policy wants it: once more means all of it
  const others = Object.keys(whole?.versions ?? {}).filter((name) => name !== rollout?.stable && name !== rollout?.candidate);
  const more = { ...(returning ? { instant: true } : {}), ...(to && others.includes(to) ? { to } : {}) };
  useEffect(() => {
    const press = (event) => {
      const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) || document.querySelector("dialog[open]");
      if (event.key !== "R" || typing || event.ctrlKey || event.metaKey || event.altKey || !mayGoBack || stale) return;
      event.preventDefault();
      rollBack(route, "from the dashboard, by key", returning ? { instant: true } : {});
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [route, mayGoBack, stale, returning]);
  return html`<section class="actions" aria-label="Actions">
    ${rollout ? html`<div class="bar">
      ${ORDER.filter((verb) => verb !== "switch" || rollout.strategy === "blue_green").map((verb) => html`<button type="button" key=${verb} data-verb=${verb}
        disabled=${stale || !possible(rollout, verb)} onClick=${() => setAsked(verb)}>${VERBS[verb][0]}</button>`)}
      ${mayAdmin() ? html`<button type="button" data-verb="freeze" disabled=${stale} onClick=${() => setAsked("freeze")}>${summary?.frozen ? "End freeze" : "Freeze"}</button>` : ""}
    </div>
    <div class="back">
      <button type="button" class="rollback" data-verb="rollback" disabled=${stale || !mayGoBack} aria-keyshortcuts="Shift+R"
        onClick=${() => rollBack(route, reason, more)}>${returning ? "All of it back now" : `Roll back to ${to || rollout.stable}`} <kbd>Shift R</kbd></button>
      ${others.length && mayGoBack && !returning ? html`<label class="soft">to <select aria-label="Version that gets the traffic" value=${to} onChange=${(e) => setTo(e.target.value)}><option value="">${rollout.stable}</option>${others.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}</select></label>` : ""}
      <label class="soft">Reason <input value=${reason} onInput=${(e) => setReason(e.target.value)} maxlength="500" placeholder="optional; it does not wait for one" /></label>
    </div>` : mayAdmin() ? html`<div class="bar"><button type="button" data-verb="freeze" disabled=${stale} onClick=${() => setAsked("freeze")}>${summary?.frozen ? "End freeze" : "Freeze"}</button></div>` : ""}
    ${asked === "freeze" ? html`<${AskFreeze} route=${route} frozen=${Boolean(summary?.frozen)} close=${() => setAsked("")} />`
      : asked ? html`<${Ask} key=${asked} verb=${asked} route=${route} rollout=${rollout} close=${() => setAsked("")} />` : ""}
  </section>`;
}

