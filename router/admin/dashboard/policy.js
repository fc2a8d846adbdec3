// The policy file: what is in force, and what is on the disk and was refused, with its places.
import { html, useEffect, useState } from "./preact-htm.js";
import { mayAdmin, post, read, say } from "./link.js";
import { moment } from "./words.js";

const kind = (line) => (/^(\+\+\+|---|@@)/.test(line) ? "soft" : line.startsWith("+") ? "ok" : line.startsWith("-") ? "no" : "");

export function PolicyPage() {
  const [told, setTold] = useState(null), [missing, setMissing] = useState("");
  const look = () => read("/api/v1/policy").then((found) => { setTold(found); setMissing(""); }, (error) => setMissing(error.message));
  useEffect(() => {
    look();
    const every = setInterval(look, 2_000);
    return () => clearInterval(every);
  }, []);
  const reload = async () => {
    try {
      const done = await post("/api/v1/reload", {});
      say(done.changed ? "the file is in force" : "the file has not changed", "good");
    } catch (error) { say(error.message.split("\n")[0]); }
    look();
  };
  if (missing) return html`<main tabindex="-1"><h1>Configuration</h1><p class="empty">${missing}</p></main>`;
  if (!told) return html`<main tabindex="-1"><p class="soft">asking …</p></main>`;
  return html`<main tabindex="-1"><div class="title"><h1>Configuration</h1><span class=${`badge ${told.ok ? "good" : "bad"}`}>${told.ok ? "in force" : "the file was refused"}</span>
      ${mayAdmin() ? html`<button type="button" class="end" onClick=${reload}>Read the file now</button>` : ""}</div>
    <p class="soft"><code>${told.file}</code>, accepted ${moment(told.accepted_at)}, ${told.digest.slice(0, 12)}</p>
    ${told.ok ? "" : html`<h2>What is wrong with the file</h2><p>The policy below stays in force until it is mended.</p><pre class="report" tabindex="0">${told.report}</pre>`}
    ${told.notes.length ? html`<ul class="facts">${told.notes.map((note) => html`<li key=${note} class="hold">${note}</li>`)}</ul>` : ""}
    ${told.pending.length ? html`<h2>Pending difference</h2><pre class="diff" tabindex="0">${told.pending.map((line, i) => html`<span key=${i} class=${kind(line)}>${line}${"\n"}</span>`)}</pre>` : ""}
    <h2>In force</h2><pre class="numbered" tabindex="0">${told.text.replace(/\n$/, "").split("\n").map((line, i) => html`<span key=${i}><i>${i + 1}</i>${line}${"\n"}</span>`)}</pre>
  </main>`;
}
