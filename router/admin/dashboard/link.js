// The page's one link to the router: a store of what it said, a stream that fills it, and orders.
// Text only ever enters the page as text nodes, so nothing that a route says can become markup.

const TOKEN_KEY = "rampway-token";
const RETRY_MS = 1_000;
export const STALE_MS = 12_000; // the server sends at least a comment every 5 s
const DRAW_MS = 100; // changes of this long are drawn together
const SELECTING_MS = 30_000; // a selection holds the drawing no longer than that

export const state = {
  routes: new Map(), rollout: null, versions: null, journal: [], history: null, session: null,
  heard: 0, message: null, needsToken: false, snapshot: false, following: "",
};
let draw = () => {};
let waiting = null;
let since = 0;

export const drawsWith = (function_) => { draw = function_; };

const selecting = () => {
  const chosen = getSelection();
  return chosen && !chosen.isCollapsed && document.getElementById("app")?.contains(chosen.anchorNode);
};

function drawNow() {
  waiting = null;
  if (selecting() && Date.now() - since < SELECTING_MS) { // who marks text to copy it is not disturbed
    waiting = setTimeout(drawNow, DRAW_MS);
    return;
  }
  since = 0;
  draw();
}

export function changed() {
  since = since || Date.now();
  if (waiting === null) waiting = setTimeout(drawNow, DRAW_MS);
}

export function say(text, tone = "bad") {
  state.message = text ? { text, tone } : null;
  changed();
}

export const isStale = () => Date.now() - state.heard > STALE_MS;
const OPERATES = new Set(["operator", "admin"]), READS_ROWS = new Set(["data", "admin"]), REVIEWS = new Set(["reviewer", "admin"]);
export const mayOperate = () => OPERATES.has(state.session?.role);
export const mayReadRows = () => READS_ROWS.has(state.session?.role);
export const mayReview = () => REVIEWS.has(state.session?.role);
export const mayAdmin = () => state.session?.role === "admin";

function headers(more = {}) {
  const token = sessionStorage.getItem(TOKEN_KEY);
  return token ? { ...more, Authorization: `Bearer ${token}` } : more;
}

export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? `status ${status}`);
    this.status = status;
    this.problem = problem;
  }
}

export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: headers(options.headers) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("the router cannot be reached");
  }
  if (answer.status === 401) { state.needsToken = true; state.session = null; changed(); }
  if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => ({ detail: answer.statusText })));
  return answer;
}

export const read = async (path, options) => (await ask(path, options)).json();

export const post = (path, body, more = {}) => read(path, {
  method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...more },
});

// `revision` null: whatever happened meanwhile. One id an order, so a repeated click is one order.
export const order = (route, command, body, revision) =>
  post(`/api/v1/rollouts/${encodeURIComponent(route)}/${command}`, body, {
    "If-Match": revision === null ? "*" : `"${revision}"`,
    "Idempotency-Key": crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`,
  });

export function signIn(token) {
  sessionStorage.setItem(TOKEN_KEY, token);
  state.needsToken = false;
  reconnect();
}

export function signOut() {
  sessionStorage.removeItem(TOKEN_KEY);
  Object.assign(state, { session: null, needsToken: true, rollout: null, history: null, journal: [] });
  state.routes.clear();
  reconnect();
}

export const signedIn = () => sessionStorage.getItem(TOKEN_KEY) !== null;

// --- the stream -----------------------------------------------------------------------------------

let cut = new AbortController();
let lastEventId = "";

const heard = {
  snapshot(data) {
    if (!state.following) state.routes.clear();
    for (const one of data.routes) state.routes.set(one.name, one);
    state.snapshot = true;
    if (state.following) {
      state.rollout = data.rollouts?.[state.following] ?? null;
      state.versions = data.versions ?? null;
    }
  },
  summary(data) { state.routes.set(data.summary.name, data.summary); },
  status(data) {
    state.routes.set(data.route, data.summary);
    if (data.route === state.following) {
      state.rollout = data.rollout;
      state.versions = data.versions ?? null;
    }
  },
  announcement(data) {
    if (data.kind === "policy" && !state.following) reconnect();
    if (data.kind === "problem") say(`the policy file was refused: ${data.text.split("\n")[0]}`);
    if (data.kind === "transition" && data.route === state.following) readJournal();
  },
};

function handle(block) {
  const fields = {};
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2);
  }
  state.heard = Date.now();
  if (fields.id) lastEventId = fields.id;
  if (fields.event && heard[fields.event]) heard[fields.event](JSON.parse(fields.data));
  changed();
}

async function listen(signal) {
  const query = state.following ? `route=${encodeURIComponent(state.following)}` : "brief=1";
  const more = lastEventId ? { "Last-Event-ID": lastEventId } : {};
  const answer = await ask(`/api/v1/events?${query}`, { signal, headers: more });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value;
    const blocks = rest.split("\n\n");
    rest = blocks.pop();
    blocks.forEach(handle);
  }
}

function reconnect() { cut.abort(); }

export function follow(route) {
  if (route === state.following && state.snapshot) return;
  Object.assign(state, { following: route, rollout: null, versions: null, history: null, journal: [], snapshot: false });
  lastEventId = "";
  reconnect();
  if (route) readJournal();
}

export async function readJournal() {
  const route = state.following;
  if (!route) return;
  try {
    const found = await read(`/api/v1/journal?route=${encodeURIComponent(route)}&limit=50`);
    if (route === state.following) state.journal = found.entries;
  } catch { /* the stream says what is wrong */ }
  changed();
}

// Only what is new is asked for, until two points become one: then all of it.
export async function readHistory() {
  const route = state.following;
  if (!route || state.needsToken) return;
  const old = state.history;
  const from = old?.at.length ? old.at[old.at.length - 1] : 0;
  const path = `/api/v1/routes/${encodeURIComponent(route)}/history`;
  try {
    let told = await read(from ? `${path}?since=${from}` : path);
    const same = old && told.every_s === old.every_s && told.rollout === old.rollout && told.attempt === old.attempt;
    if (from && !same) told = await read(path);
    else if (from) told = joined(old, told);
    if (route === state.following) state.history = told;
  } catch { return; }
  changed();
}

function joined(old, more) {
  const before = old.at.length, after = more.at.length;
  const one = (a, b) => (a?.length || b?.length
    ? [...(a?.length ? a : Array(before).fill(null)), ...(b?.length ? b : Array(after).fill(null))] : []);
  const made = { ...more, gates: {}, versions: {} };
  for (const [name, column] of Object.entries(more)) {
    if (Array.isArray(column)) made[name] = one(old[name], column);
  }
  for (const name of Object.keys({ ...old.gates, ...more.gates })) made.gates[name] = one(old.gates[name], more.gates[name]);
  for (const name of Object.keys({ ...old.versions, ...more.versions })) {
    made.versions[name] = {};
    for (const figure of ["requests_per_s", "error_ratio", "p50_s", "p99_s"]) {
      made.versions[name][figure] = one(old.versions[name]?.[figure], more.versions[name]?.[figure]);
    }
  }
  return made;
}

export async function stayConnected() {
  for (;;) {
    cut = new AbortController();
    const { signal } = cut;
    try {
      state.session = await read("/api/v1/session", { signal });
      state.needsToken = false;
      if (state.message?.connection) state.message = null;
      await listen(signal);
    } catch (error) {
      if (error.name !== "AbortError") {
        if (!state.needsToken) state.message = { text: error.message, tone: "bad", connection: true };
        if (!(error instanceof Refused)) state.heard = 0;
      }
    }
    changed();
    if (!signal.aborted) {
      await new Promise((resume) => { setTimeout(resume, RETRY_MS); signal.addEventListener("abort", resume); });
    }
  }
}
