// Questions that wait for people: claim some, answer with the keyboard, see how often a version is overruled.
import { html, useEffect, useLayoutEffect, useRef, useState } from "./preact-htm.js";
import { mayReview, post, read, say } from "./link.js";
import { known, moment, NONE, percent, whole } from "./words.js";

const AGAIN_MS = 2_000;
const AT_ONCE = 10; // questions that one claim gets
const WHY = {
  unsure: "The version is not sure", unreadable: "Nobody can tell how sure it is",
  audit: "A random audit: what the version said is not shown", person: "People answer these",
  disagreement: "Two versions answer differently: neither is shown",
};
const plain = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 1));

// yes and no as such, numbers as numbers, JSON lists as lists; other text is text.
export function meant(text) {
  const said = text.trim(), low = said.toLowerCase();
  if (low === "y" || low === "yes" || low === "true") return true;
  if (low === "n" || low === "no" || low === "false") return false;
  if (said.startsWith("[")) { try { return JSON.parse(said); } catch { return said; } }
  return said !== "" && Number.isFinite(Number(said)) ? Number(said) : said;
}

function Standing({ name, one }) {
  const rows = Object.entries(one.versions).flatMap(([version, reasons]) => Object.entries(reasons).map(([reason, rated]) => ({ version, reason, ...rated })));
  return html`<section><h2>${name}</h2>
    <p><strong>${whole(one.open)}</strong> open, ${whole(one.claimed)} claimed${known(one.oldest) ? `; the oldest since ${moment(one.oldest)}` : ""}.
      <span class="soft"> Asked below ${percent(one.below)} and at ${percent(one.audit)} of the rest; meanwhile: ${one.then}.${known(one.kappa) ? ` Two people agree with kappa ${one.kappa.toFixed(2)} (${whole(one.twice)} questions).` : ""}</span></p>
    ${rows.length ? html`<div class="scroll" tabindex="0" role="region" aria-label=${`Decided of ${name}`}><table><thead><tr><th scope="col">Version</th><th scope="col">Asked because</th><th scope="col" class="r">Decided</th><th scope="col" class="r">Overruled</th><th scope="col" class="r">Expired</th></tr></thead>
      <tbody>${rows.map((row) => html`<tr key=${`${row.version} ${row.reason}`}><th scope="row">${row.version}</th><td data-heading="Asked because">${row.reason}</td><td class="r" data-heading="Decided">${whole(row.decided)}</td>
        <td class="r" data-heading="Overruled">${known(row.overrule_rate) ? percent(row.overrule_rate) : NONE}</td><td class="r" data-heading="Expired">${whole(row.expired)}</td></tr>`)}</tbody></table></div>` : ""}</section>`;
}

function Asked({ item, answer, pass }) {
  const [text, setText] = useState("");
  const field = useRef(null);
  useLayoutEffect(() => { field.current?.focus(); }, []); // with the question, not after it: who types at once loses no letter
  const send = (event) => { event.preventDefault(); if (text.trim()) answer(item, meant(text)); };
  const keys = (event) => { if (event.key === "Escape") { event.preventDefault(); pass(item); } };
  return html`<form class="ask" onSubmit=${send} onKeyDown=${keys} aria-label="Question">
    <p><strong>${item.route}</strong> <code class="soft">${item.request_id}</code> <span class="soft">${WHY[item.reason] ?? item.reason}; yours until ${moment(item.lease)}</span></p>
    <pre tabindex="0" aria-label="What was asked">${known(item.request) ? plain(item.request) : `${item.target}: the body is not kept`}</pre>
    <p>${known(item.said) ? html`<span class="soft">${item.version} said</span> <code>${item.said.map(plain).join(", ")}</code>${known(item.confidence) ? html` <span class="soft">and is ${percent(item.confidence)} sure</span>` : ""}` : html`<span class="soft">What a version said is not shown here.</span>`}</p>
    <label>Your answer <input ref=${field} value=${text} onInput=${(event) => setText(event.target.value)} autocomplete="off" maxlength="100" /></label>
    <button type="submit" disabled=${!text.trim()}>Answer (Enter)</button>
    ${known(item.said) ? html`<button type="button" onClick=${() => answer(item, item.said.length > 1 ? item.said : item.said[0])}>As it said</button>` : ""}
    <button type="button" onClick=${() => pass(item)}>Give back (Esc)</button></form>`;
}

export function Review() {
  const [told, setTold] = useState(null), [mine, setMine] = useState([]), [wrong, setWrong] = useState("");
  const busy = useRef(false);
  useEffect(() => {
    let gone = false;
    const look = async () => {
      if (document.hidden) return;
      try { const found = await read("/api/v1/reviews"); if (!gone) { setTold(found.routes); setWrong(""); } } catch (error) { if (!gone) setWrong(error.message); }
    };
    look();
    const every = setInterval(look, AGAIN_MS);
    return () => { gone = true; clearInterval(every); };
  }, []);
  const once = async (job) => {
    if (busy.current) return;
    busy.current = true;
    try { await job(); } catch (error) { say(error.message); } finally { busy.current = false; }
  };
  const claim = () => once(async () => {
    const { items } = await post("/api/v1/reviews/claim", { count: AT_ONCE });
    setMine(items);
    if (!items.length) say("No question waits for you.", "good");
  });
  const without = (item) => setMine((old) => old.filter((one) => one.id !== item.id));
  const ended = (job) => (item, ...rest) => once(async () => {
    try { await job(item, ...rest); } catch (error) { if (error.status !== 409) throw error; say(error.message); } // it is not ours any more
    without(item);
  });
  const answer = ended((item, said) => post("/api/v1/reviews/answer", { id: item.id, answer: said }));
  const pass = ended((item) => post("/api/v1/reviews/release", { id: item.id }));
  const names = Object.keys(told ?? {});
  return html`<main tabindex="-1"><h1>Review</h1>
    ${wrong ? html`<p class="empty">${wrong}</p>` : ""}
    ${told && !names.length ? html`<p class="empty">No route asks people: add review: to one.</p>` : ""}
    ${mayReview() && names.length ? (mine.length
      ? html`<p class="soft" role="status">${whole(mine.length)} of yours</p><${Asked} key=${mine[0].id} item=${mine[0]} answer=${answer} pass=${pass} />`
      : html`<p><button type="button" onClick=${claim}>Get questions</button> <span class="soft">up to ${AT_ONCE}; nobody else gets them meanwhile</span></p>`) : ""}
    ${names.map((name) => html`<${Standing} key=${name} name=${name} one=${told[name]} />`)}</main>`;
}
