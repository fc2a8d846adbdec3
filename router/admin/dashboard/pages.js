// Every page of the dashboard: a file of its own, and its line here.
import { html } from "./preact-htm.js";
import { mayOperate, mayReadRows } from "./link.js";
import { Backends } from "./backends.js";
import { DataQuality } from "./data.js";
import { Journal } from "./journal.js";
import { Overview } from "./overview.js";
import { Performance } from "./performance.js";
import { Pipeline } from "./pipeline.js";
import { PolicyPage } from "./policy.js";
import { Review } from "./review.js";
import { Rollout } from "./rollout.js";
import { Shadow } from "./shadow.js";
import { Tap } from "./tap.js";

const anybody = () => true;

// Address (#/NAME), name in the head, what draws it (gets query, go), who sees it.
export const PAGES = [
  ["", "Routes", Overview, anybody],
  ["pipeline", "Pipeline", Pipeline, anybody],
  ["policy", "Configuration", PolicyPage, mayOperate],
  ["review", "Review", Review, anybody],
];

// Of one route (#/route/ROUTE/NAME): likewise; each gets route, rollout, summary, journal, history,
// versions, shares, colour, query and go(query), which writes the address.
export const TABS = [
  ["", "Rollout", Rollout, anybody],
  ["shadow", "Shadow explorer", Shadow, anybody],
  ["performance", "Model performance", Performance, anybody],
  ["data", "Data quality", DataQuality, anybody],
  ["tap", "Live tap", Tap, mayReadRows],
  ["backends", "Backends and usage", Backends, anybody],
  ["journal", "Journal", ({ journal }) => html`<h2>Journal</h2><${Journal} entries=${journal} />`, anybody],
];
