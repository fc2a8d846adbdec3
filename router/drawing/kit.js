// Plots of a living page on uPlot, in the colours of kit.css. A plot keeps its canvas while its data
// changes, so an update moves nothing; all plots of one page share the cursor and the time axis.

const SYNC = "rampway";
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Figures over lines that stand closer together than they are wide are told together: "1–3".
const NUMBER_WIDTH = 14;
function together(places) {
  const groups = [];
  for (const one of places.toSorted((a, b) => a.x - b.x)) {
    const last = groups.at(-1);
    if (last && one.x - last.at(-1).x < NUMBER_WIDTH * devicePixelRatio) last.push(one);
    else groups.push([one]);
  }
  return groups.map((group) => {
    const numbers = group.map((one) => one.number), [low, high] = [Math.min(...numbers), Math.max(...numbers)];
    return { x: (group[0].x + group.at(-1).x) / 2, text: low === high ? `${low}` : `${low}–${high}` };
  });
}

// Where decisions were made: a line through every plot in the colour of what was decided, with the
// number that the journal beside it has too.
function marks(read) {
  return {
    hooks: {
      draw: [(u) => {
        const { ctx, bbox } = u, places = [];
        ctx.save();
        ctx.lineWidth = devicePixelRatio;
        ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
        for (const { at, tone, number } of read()) {
          const x = Math.round(u.valToPos(at, "x", true));
          if (x < bbox.left || x > bbox.left + bbox.width) continue;
          ctx.strokeStyle = colour(tone === "bad" ? "--bad" : tone === "good" ? "--good" : "--soft");
          ctx.beginPath();
          ctx.moveTo(x, bbox.top);
          ctx.lineTo(x, bbox.top + bbox.height);
          ctx.stroke();
          if (number) places.push({ x, number });
        }
        ctx.fillStyle = colour("--soft");
        ctx.font = `${10 * devicePixelRatio}px system-ui, sans-serif`;
        ctx.textAlign = "center";
        for (const { x, text } of together(places)) ctx.fillText(text, x, bbox.top - 2 * devicePixelRatio);
        ctx.restore();
      }],
    },
  };
}

// A limit: a dashed line over the whole width, with its name at the left.
function limits(read) {
  return {
    hooks: {
      draw: [(u) => {
        const { ctx, bbox } = u;
        ctx.save();
        ctx.textBaseline = "bottom";
        ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
        for (const { value, label, tone, right } of read()) {
          const y = Math.round(u.valToPos(value, "y", true));
          if (!(y >= bbox.top && y <= bbox.top + bbox.height)) continue;
          ctx.strokeStyle = ctx.fillStyle = colour(`--${tone}`);
          ctx.lineWidth = 1.5 * devicePixelRatio;
          ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
          ctx.beginPath();
          ctx.moveTo(bbox.left, y);
          ctx.lineTo(bbox.left + bbox.width, y);
          ctx.stroke();
          ctx.textAlign = right ? "right" : "left";
          const x = bbox.left + (right ? bbox.width - 4 * devicePixelRatio : 4 * devicePixelRatio), base = y - 2 * devicePixelRatio;
          ctx.setLineDash([]);
          ctx.lineWidth = 4 * devicePixelRatio;
          ctx.strokeStyle = colour("--card"); // so that no line runs through the letters
          ctx.strokeText(label, x, base);
          ctx.fillText(label, x, base);
        }
        ctx.restore();
      }],
    },
  };
}

const CLOCK_PX = 84; // "21:41:45", with room beside it
const two = (n) => String(n).padStart(2, "0");
const clock = (_u, splits) => splits.map((at) => {
  const t = new Date(at * 1000);
  return `${two(t.getHours())}:${two(t.getMinutes())}${t.getSeconds() ? `:${two(t.getSeconds())}` : ""}`;
});

// `spec`: {series: [{label, colour, width?, dash?, points?, step?, fill?}], bands: [[upper, lower, colour]],
// log?, range?: [low, high] | function, format(value), limits: [{value, label, tone}]}
export function makePlot(place, spec, data, height, read) {
  const soft = colour("--soft"), rule = colour("--rule");
  const axis = (more) => ({ stroke: soft, font: "11px system-ui, sans-serif",
    grid: { stroke: rule, width: 1 }, ticks: { stroke: rule, width: 1, size: 4 }, ...more });
  return new uPlot({
    width: Math.max(place.clientWidth, 200), height,
    cursor: { sync: { key: SYNC }, drag: { x: false, y: false }, points: { size: 6 } },
    legend: { show: false },
    scales: {
      x: { time: true },
      y: spec.log ? { distr: 3, range: spec.range } : { range: spec.range },
    },
    axes: [axis({ values: clock, size: 28, space: CLOCK_PX }), axis({ size: 64, ...(spec.splits ? { splits: () => spec.splits } : {}), values: (_u, splits) => splits.map((v) => (v === null ? "" : spec.format(v))) })],
    series: [{}, ...spec.series.map((one) => ({
      label: one.label, stroke: one.colour ? colour(one.colour) : undefined, width: one.width ?? 2, dash: one.dash,
      spanGaps: Boolean(one.bridge), points: { show: Boolean(one.points), size: 3 },
      paths: one.step ? uPlot.paths.stepped({ align: 1 }) : undefined,
    }))],
    bands: (spec.bands ?? []).map(([upper, lower, name]) => ({ series: [upper, lower], fill: `${colour(name)}33` })),
    plugins: [marks(() => read().marks ?? []), limits(() => read().limits ?? [])],
  }, data, place);
}
