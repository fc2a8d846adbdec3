// Small pieces of every page.
import { html, useEffect, useRef, useState } from "./preact-htm.js";
import { read } from "./link.js";
import { known, odds, share, verdict } from "./words.js";

export const COLOURS = 5; // then they begin again

// Each version keeps its colour while shares change: stable first, then the candidate, then others.
export const colours = (rollout, names) => {
  const order = [...new Set([rollout?.stable, rollout?.candidate, ...names].filter(Boolean))];
  return (name) => `v${Math.max(order.indexOf(name), 0) % COLOURS}`;
};

export const Verdict = ({ name }) => {
  const [tone, sign, text] = verdict(name);
  return html`<span class="badge ${tone}"><span aria-hidden="true">${sign}</span> ${text}</span>`;
};

// Shares of all versions as one bar; the legend says the same in words.
export function Split({ shares, colour, small }) {
  const names = Object.keys(shares);
  const text = names.map((name) => `${name} ${share(shares[name])}`).join(", ");
  return html`<span class=${small ? "split small" : "split"} role="img" aria-label=${text}>
    ${names.map((name) => html`<span key=${name} class=${colour(name)}
      style=${{ flexGrow: Math.max(shares[name], 100) }}></span>`)}</span>`;
}

// A table that may be wider than the page scrolls by itself; by keyboard too, where it does.
export function Wide({ label = "a table that scrolls sideways", children }) {
  const box = useRef(null);
  useEffect(() => {
    const one = box.current;
    const look = () => {
      if (one.scrollWidth > one.clientWidth + 1) one.setAttribute("tabindex", "0");
      else if (document.activeElement !== one) one.removeAttribute("tabindex");
    };
    look();
    const sized = new ResizeObserver(look);
    sized.observe(one);
    for (const child of one.children) sized.observe(child);
    return () => sized.disconnect();
  }, []);
  return html`<div class="scroll" role="group" aria-label=${label} ref=${box}>${children}</div>`;
}

// A question in front of everything: the browser keeps the keyboard inside and gives it back after.
export function Question({ title, close, children }) {
  const dialog = useRef(null);
  useEffect(() => {
    const before = document.activeElement;
    dialog.current.showModal();
    return () => before?.focus?.();
  }, []);
  return html`<dialog ref=${dialog} aria-label=${title} onCancel=${(event) => { event.preventDefault(); close(); }}>
    <h2>${title}</h2>${children}</dialog>`;
}

// What a path says, asked anew while somebody looks: [answer, why there is none]. The last answer stays.
export function usePolled(path, every_ms) {
  const [found, setFound] = useState({ path: "", told: null, missing: "" });
  useEffect(() => {
    let gone = false;
    const look = () => {
      if (document.hidden && !gone) return;
      read(path).then(
        (told) => { if (!gone) setFound({ path, told, missing: "" }); },
        (error) => { if (!gone) setFound((old) => ({ path, told: old.path === path ? old.told : null, missing: error.message })); },
      );
    };
    look();
    const every = setInterval(look, every_ms);
    return () => { gone = true; clearInterval(every); };
  }, [path]);
  return found.path === path ? [found.told, found.missing] : [null, ""];
}

// What is known of a route; null before the first answer.
export const useRoute = (route) => usePolled(`/api/v1/routes/${encodeURIComponent(route)}`, 2_000)[0];

// One of a few, as buttons.
export const Choice = ({ label, choices, chosen, choose }) => html`<span class="choices" role="group" aria-label=${label}>
  ${choices.map(([value, text]) => html`<button type="button" key=${value} aria-pressed=${String(chosen === value)} onClick=${() => choose(value)}>${text}</button>`)}</span>`;

// One gate: its verdict, what it holds against the candidate beside its limit, and its sentence.
export function Gate({ gate }) {
  const bets = known(gate.limit) && gate.limit > 1 && known(gate.evidence);
  const promotion = gate.name === "promotion";
  const part = bets ? Math.min(Math.max(Math.log(Math.max(gate.evidence, 1)) / Math.log(gate.limit), 0), 1) : 0;
  const css = promotion ? "good" : part >= 1 || gate.verdict === "fail" ? "bad" : part > 0.25 ? "hold" : "good";
  return html`<li class=${`gate ${verdict(gate.verdict)[0]}`}>
    <div class="head"><${Verdict} name=${gate.verdict} /> <strong>${promotion ? "proof that it is not worse" : gate.name}</strong>
      ${gate.dry_run ? html`<span class="soft"> (dry run)</span>` : ""}
      ${bets ? html`<span class="odds soft">${odds(gate.evidence)} of ${odds(gate.limit)} ${promotion ? "for it" : "against it"}</span>` : ""}</div>
    ${bets ? html`<div class=${`meter ${css}`} role="img" aria-label=${`evidence ${odds(gate.evidence)} of ${odds(gate.limit)}`}><i style=${{ width: `${part * 100}%` }}></i></div>` : ""}
    <p>${gate.sentence}</p></li>`;
}
