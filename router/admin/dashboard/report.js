// A route as Markdown, for a report or a chat, and the sentence of what it waits for.
import { say } from "./link.js";
import { lasts, milliseconds, moment, odds, percent, phase, rate, share, verdict, whole, words } from "./words.js";

const ended = (rollout) => ["completed", "aborted", "rolled_back"].includes(rollout.phase);

// "holding at 25 %: p99 needs about 1,140 more answers"
export function standing(rollout) {
  const at = `${phase(rollout.phase)} at ${share(rollout.weight_bp)}`;
  if (ended(rollout)) return "";
  const waits = [];
  if (rollout.waits_for) waits.push(rollout.waits_for);
  if (rollout.approval) waits.push(rollout.approval.remaining_s === null ? "waits for a person" : `waits for a person; in ${lasts(rollout.approval.remaining_s)} it will ${rollout.approval.then}`);
  const missing = (rollout.until_samples ?? 0) - rollout.samples;
  if (missing > 0) waits.push(`needs ${whole(missing)} more answers`);
  if (rollout.remaining_s > 0) waits.push(`${lasts(rollout.remaining_s)} of the ${rollout.phase === "baking" ? "bake" : "step"} are left`);
  return `${at}${waits.length ? `: ${waits.join("; ")}` : ""}`;
}

export function markdown(route, summary, rollout, journal) {
  const lines = [`## ${route}: ${rollout ? `${rollout.stable} → ${rollout.candidate}, ${phase(rollout.phase)} at ${share(rollout.weight_bp)}` : `${summary.stable} serves, no rollout`}`, ""];
  if (rollout) {
    lines.push(rollout.line, "", standing(rollout), "", "| gate | verdict | numbers |", "| --- | --- | --- |",
      ...rollout.gates.map((gate) => `| ${gate.name} | ${verdict(gate.verdict)[2]} | ${gate.sentence.replaceAll("|", "\\|")} |`), "",
      "| version | share | requests | failed | p99 |", "| --- | --- | --- | --- | --- |",
      ...Object.entries(rollout.versions).map(([name, one]) => `| ${name} | ${share(rollout.shares_bp[name])} | ${rate(one.requests_per_s)} | ${percent(one.error_ratio, 2)} | ${milliseconds(one.p99_s)} |`), "");
  }
  lines.push("### Journal", "", ...journal.map((entry) => `- ${moment(entry.at)} **${words(entry.action)}** by ${entry.actor}: ${entry.line}`));
  return `${lines.join("\n")}\n`;
}

export async function copy(text, said = "copied as Markdown") {
  try {
    await navigator.clipboard.writeText(text);
    say(said, "good");
  } catch { say("the browser does not let this page copy"); }
}
