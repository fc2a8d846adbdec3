// What a route's plots show, from its history; how they are drawn is the kit's business.
import { Component, html } from "./preact-htm.js";
import { makePlot } from "./kit.js";
import { milliseconds, NONE, odds, percent } from "./words.js";

const HEIGHT = 150;
const EVIDENCE = [0.01, 10_000]; // what is outside is drawn at the border
const clamp = (x, [low, high]) => (x === null ? null : Math.min(Math.max(x, low), high));
const filled = (column, length) => (column?.length ? column : Array(length).fill(null));
export const last = (column) => column?.findLast((x) => x !== null) ?? null;
const atLeast = (high) => (_u, _low, top) => [0, Math.max((top ?? 0) * 1.15, high)];

export class Plot extends Component {
  shouldComponentUpdate() { return true; }

  componentDidMount() {
    this.media = matchMedia("(prefers-color-scheme: dark)");
    this.again = () => this.make();
    this.media.addEventListener("change", this.again);
    this.sized = new ResizeObserver(() => {
      const width = Math.max(this.place.clientWidth, 200);
      if (this.plot && Math.abs(this.plot.width - width) > 1) this.plot.setSize({ width, height: HEIGHT });
    });
    this.sized.observe(this.place);
    this.make();
  }

  make() {
    this.plot?.destroy();
    this.shape = this.props.spec.key;
    this.plot = makePlot(this.place, this.props.spec, this.props.data, HEIGHT, () => this.props.spec);
  }

  componentDidUpdate() {
    if (this.props.spec.key !== this.shape) this.make();
    else this.plot.setData(this.props.data);
  }

  componentWillUnmount() {
    this.media.removeEventListener("change", this.again);
    this.sized.disconnect();
    this.plot?.destroy();
  }

  render({ title, caption, legend, now }) {
    return html`<figure class="live"><figcaption><h3>${title}</h3><p>${caption}</p></figcaption>
      <div class="canvas" role="img" aria-label=${`${title}. ${now}`} ref=${(made) => { if (made) this.place = made; }}></div>
      <ul class="legend">${legend.map(([css, text]) => html`<li key=${text}><i class=${`swatch ${css}`}></i>${text}</li>`)}</ul>
      <p class="now">${now}</p></figure>`;
  }
}

const TONES = { rollback: "bad", abort: "bad", complete: "good", advance: "good", promote: "good" };
// What moves no traffic has no line (control/state/record.py has the same names).
const NOTES = new Set(["acknowledged", "drift", "freeze", "gate", "hook", "registry", "router_bug", "wait"]);

// Decisions within what the plots show, numbered from the first on: entry -> number.
export function markedIn(journal, history) {
  return history?.at.length ? markedSince(journal, history.at[0] - 2) : new Map();
}
export function markedSince(journal, at) {
  const found = journal.filter((entry) => entry.at >= at && !NOTES.has(entry.action));
  return new Map(found.map((entry, index) => [entry, found.length - index]));
}
export const marksOf = (marked) => [...marked].map(([entry, number]) => ({ at: entry.at, number, tone: TONES[entry.action] ?? "soft" }));

// Of each signal that is watched: PSI, the furthest ones, from the attempt's beginning on.
const DRIFT_DRAWN = 5;
function drift(data, since) {
  const signals = (data?.signals ?? []).map((one) => [one.segment ? `${one.name} [${one.segment}]` : one.name, new Map(one.psi_at.map((at, i) => [at, one.psi[i]]).filter(([at]) => at >= since)), one.checks[0]?.limit ?? 0.1]);
  const furthest = signals.filter(([, points]) => points.size > 1).sort(([, a], [, b]) => Math.max(...b.values()) - Math.max(...a.values())).slice(0, DRIFT_DRAWN);
  const at = [...new Set(furthest.flatMap(([, points]) => [...points.keys()]))].sort((a, b) => a - b);
  return { names: furthest.map(([name]) => name), at, columns: furthest.map(([, points]) => at.map((t) => points.get(t) ?? null)), limit: furthest[0]?.[2] };
}

export function Plots({ history, marked, rollout, colour, data }) {
  if (!history || history.at.length < 2) {
    return html`<p class="soft">Plots begin with the first two seconds of traffic.</p>`;
  }
  const n = history.at.length, marks = marksOf(marked);
  const candidate = rollout?.candidate, stable = rollout?.stable;
  const first = (name) => (name === stable ? 0 : name === candidate ? 1 : 2);
  const names = Object.keys(history.versions).sort((a, b) => first(a) - first(b));
  const css = (name) => `--${colour(name)}`;
  const plots = [];
  const add = (key, title, caption, spec, columns, legend, now) => plots.push(html`<${Plot} key=${key} title=${title}
    caption=${caption} spec=${{ key: `${key} ${names.join(" ")}`, marks, ...spec }} data=${[history.at, ...columns.map((c) => filled(c, n))]} legend=${legend} now=${now} />`);

  if (history.share.length) {
    add("share", `Traffic of ${candidate}`, "Commanded, and measured from what was answered.", {
      series: [{ label: "measured", colour: css(candidate), width: 1, points: true }, { label: "commanded", colour: css(candidate), width: 2.5, step: true },
        { label: "copies", colour: "--soft", dash: [3, 3], step: true }],
      range: [0, 1.02], format: (v) => percent(v, 0),
    }, [history.measured, history.share, history.mirrored.some((x) => x) ? history.mirrored : []],
    [[colour(candidate), "commanded (line), measured (thin)"], ...(history.mirrored.some((x) => x) ? [["vx", "copies"]] : [])],
    `Commanded ${percent(last(history.share), 1)}, measured ${percent(last(history.measured), 1)}.`);
  }
  if (history.difference.some((x) => x !== null)) {
    const low = last(history.low), high = last(history.high);
    add("difference", `Failures of ${candidate} less those of ${stable}`, "The band holds the true difference at every look with 95 %; the dashed line is what promotion tolerates.", {
      series: [{ label: "high", colour: css(candidate), width: 0.5 }, { label: "low", colour: css(candidate), width: 0.5 }, { label: "difference", colour: css(candidate) }],
      bands: [[1, 2, css(candidate)]], format: (v) => `${(v * 100).toFixed(1)} pp`,
      range: (_u, least, most) => [Math.max(Math.min(least ?? 0, -0.005), -1) * 1.1, Math.min(Math.max(most ?? 0, (history.margin ?? 0) * 1.3, 0.005), 1) * 1.1],
      limits: history.margin ? [{ value: history.margin, label: `tolerated +${(history.margin * 100).toFixed(1)} pp`, tone: "bad" }] : [],
    }, [history.high, history.low, history.difference], [[colour(candidate), `${candidate} − ${stable}, with its band`]],
    `Now ${((last(history.difference) ?? 0) * 100).toFixed(2)} pp${low === null ? "; the band needs 100 requests" : `, between ${(low * 100).toFixed(2)} and ${(high * 100).toFixed(2)}`}.`);
  }
  if (history.evidence.some((x) => x !== null)) {
    const gates = Object.keys(history.gates).slice(0, 4);
    add("evidence", `Evidence against ${candidate}`, "On a logarithmic axis: at the red line it is taken back. Evidence for it (green) must reach its own line before promotion.", {
      key: `evidence ${gates.join(" ")}`, log: true, range: EVIDENCE, splits: [0.01, 1, 100, 10_000], format: (v) => `${v.toLocaleString("en")} : 1`,
      series: [{ label: "all gates", colour: "--bad", width: 2.5 }, { label: "for it", colour: "--good", width: 1.5 },
        ...gates.map((name) => ({ label: name, colour: "--soft", width: 1, dash: [2, 3] }))],
      limits: [
        ...(history.evidence_limit ? [{ value: history.evidence_limit, label: `taken back at ${odds(history.evidence_limit)}`, tone: "bad" }] : []),
        ...(history.hold_level ? [{ value: history.hold_level, label: `held at ${odds(history.hold_level)}`, tone: "hold" }] : []),
        ...(history.proof_limit ? [{ value: history.proof_limit, label: `proven at ${odds(history.proof_limit)}`, tone: "good", right: true }] : []),
      ],
    }, [history.evidence, history.proof, ...gates.map((name) => history.gates[name])].map((c) => c.map((x) => clamp(x, EVIDENCE))),
    [["bad", "all gates together"], ["good", "not worse, for promotion"], ...(gates.length ? [["vx", `single gates: ${gates.join(", ")}`]] : [])],
    `Against ${odds(last(history.evidence))} of ${odds(history.evidence_limit)}; for it ${odds(last(history.proof))} of ${odds(history.proof_limit)}.`);
  }
  if (history.agreement.some((x) => x !== null)) {
    add("agreement", "Answers that agree", "Of requests that both versions answered, since the attempt began.", {
      series: [{ label: "agreement", colour: css(candidate) }], range: (_u, least) => [Math.min(least ?? 0.9, 0.9), 1.005], format: (v) => percent(v, 0),
    }, [history.agreement], [[colour(candidate), "agreement"]], `Now ${percent(last(history.agreement), 2)}.`);
  }
  const moved = drift(data, history.at[0]);
  if (moved.names.length) {
    plots.push(html`<${Plot} key="drift" title="Drift" caption="How far each feature and answer lies from its reference (PSI); at the red line it is a change." data=${[[history.at[0], ...moved.at, history.at.at(-1)], ...moved.columns.map((column) => [null, ...column, null])]}
      spec=${{ key: `drift ${moved.names.join(" ")}`, marks, format: (v) => v.toFixed(2), range: atLeast(moved.limit * 1.5), limits: [{ value: moved.limit, label: `a change from ${moved.limit}`, tone: "bad" }],
        series: moved.names.map((name, i) => ({ label: name, colour: `--v${i}`, bridge: true })) }}
      legend=${moved.names.map((name, i) => [`v${i}`, name])} now=${moved.names.map((name, i) => `${name} ${(last(moved.columns[i]) ?? 0).toFixed(3)}`).join(", ")} />`);
  }
  add("rates", "Requests a second", "Of each version, as counted between two points.", {
    series: names.map((name) => ({ label: name, colour: css(name) })), range: atLeast(1), format: (v) => v.toLocaleString("en"),
  }, names.map((name) => history.versions[name].requests_per_s), names.map((name) => [colour(name), name]),
  names.map((name) => `${name} ${(last(history.versions[name].requests_per_s) ?? 0).toFixed(1)} / s`).join(", "));
  add("errors", "Failed answers", "Share of each version's answers that failed.", {
    series: names.map((name) => ({ label: name, colour: css(name), bridge: true })), range: atLeast(0.01), format: (v) => percent(v, 1),
  }, names.map((name) => history.versions[name].error_ratio), names.map((name) => [colour(name), name]),
  names.map((name) => `${name} ${percent(last(history.versions[name].error_ratio), 2)}`).join(", "));
  add("latency", "Latency", "p99 of each version; thin lines are p50.", {
    series: names.flatMap((name) => [{ label: `${name} p99`, colour: css(name), bridge: true }, { label: `${name} p50`, colour: css(name), width: 1, dash: [4, 3], bridge: true }]),
    range: atLeast(0.01), format: milliseconds,
  }, names.flatMap((name) => [history.versions[name].p99_s, history.versions[name].p50_s]), names.map((name) => [colour(name), name]),
  names.map((name) => `${name} p99 ${milliseconds(last(history.versions[name].p99_s))}`).join(", ") || NONE);
  return html`<div class="plots">${plots}</div>`;
}
