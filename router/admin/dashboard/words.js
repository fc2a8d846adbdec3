// Numbers and names as people read them; the command line says the same (core/words.py).

export const NONE = "–";
export const known = (value) => value !== null && value !== undefined;
export const whole = (count) => (count ?? 0).toLocaleString("en");
export const words = (name) => name.replaceAll("_", " ");
export const milliseconds = (s) => {
  if (!known(s)) return NONE;
  return s >= 10 ? `${s.toFixed(1)} s` : `${(s * 1000).toFixed(s < 0.1 ? 1 : 0)} ms`;
};
export const percent = (ratio, digits = 1) => (known(ratio) ? `${(ratio * 100).toFixed(digits)} %` : NONE);
export const share = (bp) => `${(bp ?? 0) / 100} %`;
export const rate = (per_s) => (known(per_s) ? `${per_s >= 100 ? whole(Math.round(per_s)) : per_s.toFixed(1)} / s` : NONE);

// 1,104.2 : 1; what is beyond a million is just that.
export function odds(x) {
  if (!known(x)) return NONE;
  if (x > 1e6) return "over 1,000,000 : 1";
  return `${x >= 100 ? whole(Math.round(x)) : x >= 10 ? x.toFixed(1) : x.toPrecision(2)} : 1`;
}

// 90061 s are "1 d 1 h": the two largest units are enough to decide whether to wait.
export function lasts(seconds) {
  const parts = [];
  let rest = Math.max(Math.ceil(seconds), 0);
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]]) {
    if (rest >= size && parts.length < 2) parts.push(`${Math.floor(rest / size)} ${unit}`);
    else if (parts.length) break;
    rest %= size;
  }
  return parts.join(" ") || "0 s";
}

const two = (n) => String(n).padStart(2, "0");
// Local, with its date: 2026-11-27 10:42:07.
export function moment(at_s) {
  const t = new Date(at_s * 1000);
  return `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())} ` +
    `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`;
}

// Three states and a fault, each with a sign beside its colour.
const VERDICTS = {
  pass: ["good", "✓", "pass"],
  fail: ["bad", "✕", "fail"],
  pending: ["hold", "…", "not enough yet"],
  inconclusive: ["hold", "?", "says nothing"],
  error: ["bad", "!", "cannot measure"],
};
export const verdict = (name) => VERDICTS[name] ?? ["hold", "?", words(name)];

const PHASES = {
  progressing: "ramping", awaiting_approval: "waits for a person", paused: "paused",
  baking: "baking", completed: "completed", aborted: "aborted", rolled_back: "rolled back",
};
export const phase = (name) => (name ? PHASES[name] ?? words(name) : "no rollout");
export const tone = (health) => ({ Degraded: "bad", Paused: "hold", Progressing: "busy" })[health] ?? "good";
