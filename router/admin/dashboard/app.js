// One store of what the router said, one function that draws it. Text only ever enters the page as
// text nodes, so nothing a route, a reason or a sentence contains can become markup.

const TOKEN_KEY = "rampway-token";
const STALE_MS = 20_000; // the server sends a comment at least every 15 s
const RETRY_MS = 1_000;
const JOURNAL_ENTRIES = 20;
const COMMANDS = [["promote", "Promote step"], ["pause", "Pause"], ["resume", "Resume"],
  ["abort", "Abort"], ["retry", "Retry"], ["rollback", "Roll back"]];

const at = (id) => document.getElementById(id);
const state = { routes: [], rollouts: {}, journal: [], chosen: "", mayOperate: false, heard: 0 };
let lastEventId = "";

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const COLOURS = 5; // then they begin again
const FINE_BP = 100;

const share = (bp) => `${(bp ?? 0) / 100} %`;
const milliseconds = (s) => (s === null || s === undefined ? "–" : `${(s * 1000).toFixed(1)} ms`);
const percent = (ratio) => `${(ratio * 100).toFixed(1)} %`;
const whole = (count) => (count ?? 0).toLocaleString("en");
const words = (name) => name.replaceAll("_", " ");
const clock = (at_s) => new Date(at_s * 1000).toLocaleTimeString();

// 90061 s are "1 d 1 h": the two largest units are enough to decide whether to wait.
function lasts(seconds) {
  const parts = [];
  let rest = Math.max(Math.ceil(seconds), 0);
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]]) {
    if (rest >= size && parts.length < 2) parts.push(`${Math.floor(rest / size)} ${unit}`);
    else if (parts.length) break;
    rest %= size;
  }
  return parts.join(" ") || "0 s";
}

// A moment of today needs no date.
function moment(at_s) {
  const then = new Date(at_s * 1000);
  const today = then.toDateString() === new Date().toDateString();
  return today ? then.toLocaleTimeString() : then.toLocaleString();
}

function say(text, bad = true) {
  at("message").textContent = text;
  at("message").classList.toggle("bad", bad);
  at("message").hidden = !text;
}

function headers(more = {}) {
  const token = sessionStorage.getItem(TOKEN_KEY);
  return token ? { ...more, Authorization: `Bearer ${token}` } : more;
}

async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: headers(options.headers) });
  if (answer.status === 401) at("login").hidden = false;
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({ detail: answer.statusText }));
    throw new Error(problem.detail);
  }
  return answer;
}

async function order(command) {
  const rollout = state.rollouts[state.chosen];
  try {
    const answer = await ask(`/api/v1/rollouts/${encodeURIComponent(state.chosen)}/${command}`, {
      method: "POST",
      body: JSON.stringify({ reason: "from the dashboard" }),
      // A rollback is wanted whatever happened meanwhile; everything else only if nothing did.
      headers: { "Content-Type": "application/json",
        "If-Match": command === "rollback" ? "*" : `"${rollout.revision}"` },
    });
    const result = await answer.json();
    say(`${result.reason} (in force after ${(result.took_s * 1000).toFixed(0)} ms)`, false);
  } catch (error) {
    say(`${command} was not carried out: ${error.message}`);
  }
}

function fixedShares(route) {
  const shares = Object.entries(route.shares_bp ?? {});
  return shares.length > 1 ? shares.map(([name, bp]) => `${name} ${share(bp)}`).join(", ") : "–";
}

function routeRow(route) {
  const open = element("button", { className: "route", textContent: route.name });
  open.addEventListener("click", () => choose(route.name));
  const weight = route.candidate ? element("span", {},
    element("meter", { min: 0, max: 10000, value: route.weight_bp, ariaLabel: "share" }),
    share(route.weight_bp)) : fixedShares(route);
  const phase = element("span", { className: (route.health ?? "").toLowerCase(),
    textContent: (route.phase ? words(route.phase) : "no rollout") + (route.frozen ? ", frozen" : ""),
    title: route.frozen ?? "" });
  return element("tr", {}, ...[open, phase, route.stable ?? "–", route.candidate ?? "–", weight]
    .map((cell) => element("td", {}, cell)));
}

function gateItem(gate) {
  // Evidence grows by factors, so the bar shows its logarithm on the way to the limit's.
  const bets = gate.limit > 1 && gate.evidence !== null && gate.evidence !== undefined;
  const meter = bets ? element("meter", { min: 0, max: 1, ariaLabel: "evidence on its way to its limit",
    value: Math.min(Math.log(Math.max(gate.evidence, 1)) / Math.log(gate.limit), 1) }) : null;
  return element("li", {}, element("strong", { className: gate.verdict, textContent: gate.verdict }),
    ` ${gate.gate ?? gate.name}${gate.dry_run ? " (dry run)" : ""} `, meter, element("div", {}, gate.sentence));
}

function versionRow(rollout, labelled, rewarded, [name, window]) {
  const measured = window.requests > 0;
  const tally = rollout.feedback?.[name];
  const reward = rollout.bandit?.rewards?.[name]?.mean ?? tally?.mean_reward;
  const cells = [["Version", name], ["Share", share(rollout.shares_bp?.[name])],
    ["Req/s", Number(window.requests_per_s ?? 0).toFixed(1)],
    ["Errors", measured ? `${(window.error_ratio * 100).toFixed(2)} %` : "–"],
    ["p50", milliseconds(measured ? window.p50_s : null)],
    ["p99", milliseconds(measured ? window.p99_s : null)],
    ["In flight", whole(rollout.in_flight?.[name])]];
  if (labelled) cells.push(["Labels", tally ? `${whole(tally.right)}, ${whole(tally.wrong)}` : "–"]);
  if (rewarded) cells.push(["Mean reward", reward?.toFixed(3) ?? "–"]);
  return element("tr", {}, ...cells.map(([heading, text]) => {
    const cell = element("td", { textContent: text });
    cell.dataset.heading = heading;
    return cell;
  }));
}

// Labels and rewards have columns only where somebody sends feedback.
function drawVersions(rollout) {
  const told = Object.values(rollout.feedback ?? {});
  const labelled = told.some((tally) => tally.right + tally.wrong > 0);
  const rewarded = Boolean(rollout.bandit) || told.some((tally) => tally.rewards > 0);
  const heads = at("versions").tHead.rows[0].cells;
  heads[heads.length - 2].hidden = !labelled;
  heads[heads.length - 1].hidden = !rewarded;
  at("versions").tBodies[0].replaceChildren(...Object.entries(rollout.versions ?? {})
    .map((entry) => versionRow(rollout, labelled, rewarded, entry)));
}

// Each version keeps its colour while shares change: stable first, then the candidate, then others.
function drawSplit(rollout) {
  const order = [rollout.stable, rollout.candidate, ...Object.keys(rollout.versions ?? {})];
  const names = [...new Set(order)].filter((name) => name in (rollout.shares_bp ?? {}));
  const colour = (name) => `v${[...new Set(order)].indexOf(name) % COLOURS}`;
  at("split").replaceChildren(...names.map((name) => {
    const part = element("span", { className: colour(name) });
    part.style.flexGrow = Math.max(rollout.shares_bp[name], FINE_BP);
    return part;
  }));
  at("split").ariaLabel = names.map((name) => `${name} ${share(rollout.shares_bp[name])}`).join(", ");
  const measured = (name) => (name === rollout.candidate && rollout.measured_bp !== null &&
    rollout.measured_bp !== undefined ? ` (measured ${share(rollout.measured_bp)})` : "");
  const copies = rollout.mirror_bp ? [`copies of ${share(rollout.mirror_bp)} to ${rollout.candidate}`] : [];
  at("legend").replaceChildren(
    ...names.map((name) => element("li", {}, element("span", { className: `dot ${colour(name)}` }),
      `${name} ${share(rollout.shares_bp[name])}${measured(name)}`)),
    ...copies.map((text) => element("li", { textContent: text })));
}

function planItem(rollout, step, index) {
  const here = index + 1 === rollout.step && rollout.phase !== "completed" && rollout.phase !== "baking";
  const done = index + 1 < rollout.step || ["completed", "baking"].includes(rollout.phase);
  const text = step.weight_bp || !step.mirror_bp ? share(step.weight_bp) : `copy ${share(step.mirror_bp)}`;
  return element("li", { className: here ? "here" : done ? "done" : "", ariaCurrent: here ? "step" : null,
    textContent: step.approval ? `${text}, approval` : text });
}

function drawPlan(rollout) {
  const plan = rollout.plan;
  const items = (plan?.steps ?? []).map((step, index) => planItem(rollout, step, index));
  if (plan?.bake_s) {
    items.push(element("li", { textContent: `bake ${lasts(plan.bake_s)}`,
      className: rollout.phase === "baking" ? "here" : rollout.phase === "completed" ? "done" : "" }));
  }
  at("plan").replaceChildren(...(items.length > 1 ? items : []));
}

function position(rollout) {
  const parts = [`${words(rollout.phase)}, step ${rollout.step} of ${rollout.steps}`];
  if (rollout.remaining_s > 0) parts.push(`${lasts(rollout.remaining_s)} left`);
  const missing = (rollout.until_samples ?? 0) - rollout.samples;
  parts.push(missing > 0 ? `${whole(missing)} samples missing` : `${whole(rollout.samples)} samples`);
  return [...parts, `revision ${rollout.revision}`].join(" · ");
}

// What an operator would otherwise have to ask for: why it stays, what is still under way.
function facts(rollout, route) {
  const lines = [];
  const say = (kind, text) => lines.push(element("li", { className: kind, textContent: text }));
  const frozen = route?.frozen;
  if (frozen) say("held", frozen);
  const held = rollout.waits_for;
  if (held && held !== frozen) say("held", held.startsWith("waits") ? held : `waits: ${held}`);
  if (rollout.next_advance_at) say("", `advances at ${moment(rollout.next_advance_at)} at the earliest`);
  if (rollout.approval) {
    const left = rollout.approval.remaining_s;
    say("held", "waits for an approval" +
      (left === null ? "" : `; in ${lasts(left)} it will ${rollout.approval.then}`));
  }
  if (rollout.override) say("held", `share set by hand for another ${lasts(rollout.override.remaining_s)}`);
  for (const [version, count] of Object.entries(rollout.draining ?? {})) {
    say("held", `${whole(count)} requests still in flight on ${version}, which gets no new ones`);
  }
  if (rollout.bandit) say("", rollout.bandit.warning);
  for (const note of rollout.notes ?? []) say("bad", note);
  if (rollout.unsaved) say("bad", "the last change is in force and not yet on the disk");
  return lines;
}

function drawShadow(shadow) {
  at("shadow").hidden = !shadow;
  if (!shadow) return;
  const figures = [["pairs compared", whole(shadow.pairs)],
    ["agree", shadow.agreement === null ? "–" : percent(shadow.agreement)],
    ["stricter, looser", `${whole(shadow.stricter)}, ${whole(shadow.looser)}`],
    ["failed copies", whole(shadow.failed)]];
  if (shadow.score?.pairs) {
    figures.push(["mean score distance", shadow.score.mean.toPrecision(2)],
      [`scores more than ${shadow.score.far} apart`, percent(shadow.score.far_share)]);
  }
  if (shadow.learning) figures.push(["noise", "being learnt"]);
  at("pairs").replaceChildren(...figures.map(([name, text]) => element("div", {},
    element("dt", { textContent: name }), element("dd", { textContent: text }))));
}

function journalItem(entry) {
  return element("li", {}, element("time", { textContent: clock(entry.at) }),
    ` ${entry.actor}: ${entry.reason}`);
}

function drawDetail() {
  const rollout = state.rollouts[state.chosen];
  at("detail").hidden = !rollout;
  if (!rollout) return;
  at("detail-heading").textContent = `${state.chosen}: ${rollout.stable} → ${rollout.candidate}`;
  at("reason").textContent = rollout.line;
  at("numbers").textContent = rollout.line === rollout.reason ? "" : rollout.reason;
  at("position").textContent = position(rollout);
  drawPlan(rollout);
  drawSplit(rollout);
  at("facts").replaceChildren(
    ...facts(rollout, state.routes.find((route) => route.name === state.chosen)));
  drawShadow(rollout.shadow);
  for (const button of at("actions").children) {
    button.disabled = !rollout.commands.includes(button.className);
  }
  at("gates").replaceChildren(...rollout.gates.map(gateItem));
  drawVersions(rollout);
  at("journal").replaceChildren(...state.journal.map(journalItem));
}

function draw() {
  at("routes").tBodies[0].replaceChildren(...state.routes.map(routeRow));
  at("none").hidden = state.routes.length > 0;
  const degraded = state.routes.some((route) => route.health === "Degraded");
  document.title = degraded ? "✖ Rampway: rolled back" : "Rampway";
  drawDetail();
}

// Made once; the phase only enables and disables them, so a button never moves under a finger.
function makeActions() {
  at("actions").replaceChildren(...(state.mayOperate ? COMMANDS : []).map(([command, text]) => {
    const button = element("button", { type: "button", className: command, textContent: text });
    button.addEventListener("click", async () => {
      button.disabled = true;
      await order(command);
      drawDetail();
    });
    return button;
  }));
}

async function readJournal() {
  if (!state.chosen) return;
  const query = `route=${encodeURIComponent(state.chosen)}&limit=${JOURNAL_ENTRIES}`;
  const answer = await ask(`/api/v1/journal?${query}`);
  state.journal = (await answer.json()).entries;
}

async function choose(name) {
  state.chosen = name;
  await readJournal().catch((error) => say(error.message));
  draw();
}

const heard = {
  snapshot(data) {
    Object.assign(state, { routes: data.routes, rollouts: data.rollouts });
    if (!state.chosen) return choose((data.routes.find((r) => r.candidate) ?? data.routes[0])?.name);
    return undefined;
  },
  status(data) {
    state.rollouts[data.route] = data.rollout;
    const place = state.routes.findIndex((known) => known.name === data.route);
    if (place >= 0) state.routes[place] = data.summary;
    else state.routes.push(data.summary);
  },
  async announcement(data) {
    if (data.kind === "policy") state.routes = (await (await ask("/api/v1/routes")).json()).routes;
    if (data.route === state.chosen) await readJournal();
  },
};

async function handle(block) {
  const fields = Object.fromEntries(block.split("\n").filter((line) => !line.startsWith(":"))
    .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
  if (!fields.event) return;
  lastEventId = fields.id;
  await heard[fields.event]?.(JSON.parse(fields.data));
  draw();
}

// EventSource cannot send an Authorization header, so the stream is read by fetch.
async function listen() {
  const answer = await ask("/api/v1/events", {
    headers: lastEventId ? { "Last-Event-ID": lastEventId } : {} });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    state.heard = Date.now();
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) await handle(block);
  }
}

async function signIn() {
  const who = await (await ask("/api/v1/session")).json();
  at("login").hidden = true;
  at("identity").textContent = `${who.name} (${who.role})`;
  state.mayOperate = who.role !== "viewer";
  makeActions();
}

async function stayConnected() {
  for (;;) {
    try {
      await signIn();
      say("");
      await listen();
    } catch (error) {
      state.heard = 0;
      say(error.message);
    }
    await new Promise((resume) => setTimeout(resume, RETRY_MS));
  }
}

at("login").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN_KEY, at("token").value);
  at("token").value = "";
});

setInterval(() => {
  const live = Date.now() - state.heard < STALE_MS;
  at("connection").textContent = live ? "live" : "no connection: what you see may be old";
  at("connection").classList.toggle("stale", !live);
}, 500);

stayConnected();
