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

const share = (bp) => `${(bp ?? 0) / 100} %`;
const milliseconds = (s) => (s === null || s === undefined ? "–" : `${(s * 1000).toFixed(1)} ms`);
const clock = (at_s) => new Date(at_s * 1000).toLocaleTimeString();

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
        "If-Match": command === "rollback" ? "*" : `"${rollout.epoch}"` },
    });
    const result = await answer.json();
    say(`${result.reason} (in force after ${(result.took_s * 1000).toFixed(0)} ms)`, false);
  } catch (error) {
    say(`${command} was not carried out: ${error.message}`);
  }
}

function routeRow(route) {
  const open = element("button", { className: "route", textContent: route.name });
  open.addEventListener("click", () => choose(route.name));
  const weight = route.candidate ? element("span", {},
    element("meter", { min: 0, max: 10000, value: route.weight_bp, ariaLabel: "share" }),
    share(route.weight_bp)) : "–";
  const phase = element("span", { className: (route.health ?? "").toLowerCase(),
    textContent: route.phase ? route.phase.replaceAll("_", " ") : "no rollout" });
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

function versionRow([name, window]) {
  const measured = window.requests > 0;
  const cells = [name, Number(window.requests_per_s ?? 0).toFixed(1),
    measured ? `${(window.error_ratio * 100).toFixed(2)} %` : "–",
    milliseconds(measured ? window.p50_s : null), milliseconds(measured ? window.p99_s : null)];
  return element("tr", {}, ...cells.map((cell) => element("td", {}, cell)));
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
  at("reason").textContent = rollout.reason;
  at("position").textContent = `${rollout.phase.replaceAll("_", " ")}, step ${rollout.step} of ` +
    `${rollout.steps} at ${share(rollout.weight_bp)}, ${Math.ceil(rollout.remaining_s)} s left, ` +
    `${rollout.samples} samples, revision ${rollout.epoch}`;
  for (const button of at("actions").children) {
    button.disabled = !rollout.commands.includes(button.className);
  }
  at("gates").replaceChildren(...rollout.gates.map(gateItem));
  at("versions").tBodies[0].replaceChildren(...Object.entries(rollout.versions ?? {}).map(versionRow));
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
