// Every page of the dashboard: a file of its own, and its line here.
import { html } from "./preact-htm.js";
import { mayOperate } from "./link.js";
import { Backends } from "./backends.js";
import { Data } from "./data.js";
import { Journal } from "./journal.js";
import { Overview } from "./overview.js";
import { PolicyPage } from "./policy.js";
import { Rollout } from "./rollout.js";
import { Shadow } from "./shadow.js";

const anybody = () => true;

// Address (#/NAME), name in the head, what draws it (gets query, go), who sees it.
export const PAGES = [
  ["", "Routes", Overview, anybody],
  ["policy", "Configuration", PolicyPage, mayOperate],
];

// Of one route (#/route/ROUTE/NAME): likewise; each gets route, rollout, summary, journal, history,
// versions, shares, colour.
export const TABS = [
  ["", "Rollout", Rollout, anybody],
  ["shadow", "Shadow explorer", Shadow, anybody],
  ["data", "Data and usage", Data, anybody],
  ["backends", "Backends", Backends, anybody],
  ["journal", "Journal", ({ journal }) => html`<h2>Journal</h2><${Journal} entries=${journal} />`, anybody],
];
