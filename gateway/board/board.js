// The live board: wires its parts together, and follows the address.

import { addressOf, viewOf } from "./address.js";
import { announcementOf } from "./announcements.js";
import { CategoryList } from "./category_list.js";
import { CategorySearch } from "./category_search.js";
import { elementById } from "./elements.js";
import { FreshnessLine } from "./freshness.js";
import * as notices from "./notices.js";
import { ProductPanel } from "./product_panel.js";
import { RankingStream } from "./ranking_stream.js";
import { RankingTable } from "./ranking_table.js";
import { clockText, windowText } from "./moments.js";

const heading = elementById("heading");
const announcer = elementById("announcer");

let view = viewOf(location.search);
/** @type {RankingStream | null} */
let stream = null;
/** @type {Ranking | null} this view's list on screen */
let shown = null;
let lost = false;

const table = new RankingTable();
const freshness = new FreshnessLine();
const panel = new ProductPanel(() => closePanel());
const search = new CategorySearch(
  (category) => navigate({ ...view, category }),
  () => categories.refresh(),
);
const categories = new CategoryList({
  onCategories(known, total) {
    search.offer(known, total);
    if (view.category !== null || !known[0]) return;
    const chosen = { ...view, category: known[0].category_id };
    history.replaceState(null, "", addressOf(chosen));
    show(chosen);
  },
  onNone() {
    if (view.category === null) notices.showFreshInstall();
  },
  onProblem(problem) {
    if (view.category === null) notices.showProblem(problem, () => categories.load());
  },
});

/** @type {(next: View) => void} */
const navigate = (next) => {
  if (addressOf(next) === addressOf(view)) return;
  history.pushState(null, "", addressOf(next));
  show(next);
};

/** @type {(next: View, first?: boolean) => void} */
const show = (next, first = false) => {
  const before = view;
  const moved = addressOf({ ...next, product: view.product }) !== addressOf(view);
  view = next;
  heading.textContent = view.category ?? "Best sellers";
  document.title = `${heading.textContent}, ${windowText(view.window)} – topsellers`;
  search.show(view.category);
  const parameters = new URLSearchParams(addressOf(view).slice(2));
  for (const radio of document.querySelectorAll("input")) {
    if (radio.name) radio.checked = parameters.get(radio.name) === radio.value;
  }
  if (first || moved) openList(before.category === view.category);
  table.showOpened(view.product);
  panel.show(view);
};

/** @type {(kept: boolean) => void} */
const openList = (kept) => {
  stream?.close();
  stream = null;
  shown = null;
  lost = false;
  notices.hide();
  table.wait(view, kept);
  freshness.showStream(false);
  const { category } = view;
  if (category === null) {
    categories.load();
    return;
  }
  stream = new RankingStream({ ...view, category }, { onRanking, onLive, onLost });
};

/** @type {(ranking: Ranking) => void} */
const onRanking = (ranking) => {
  const before = shown;
  shown = ranking;
  const asOf = Date.parse(ranking.as_of);
  freshness.showList(asOf);
  table.show(view, ranking, before !== null);
  if (ranking.items.length) notices.hide();
  else notices.showEmpty(view);
  if (before?.version === ranking.version && before.as_of === ranking.as_of) return;
  announcer.textContent = announcementOf(view, ranking, before !== null);
  panel.follow(asOf);
};

const onLive = () => {
  if (lost) announcer.textContent = "Connected again.";
  lost = false;
  freshness.showStream(false);
};

/** @type {(problem: Refusal | null) => void} */
const onLost = (problem) => {
  const refused = problem?.status === 404 || problem?.status === 400;
  if (shown && !refused) {
    const list = clockText(Date.parse(shown.as_of));
    if (!lost) announcer.textContent = `Reconnecting; this is the list of ${list}.`;
    lost = true;
  } else if (problem) {
    shown = null;
    freshness.showList(0);
    if (problem.status === 404) notices.showUnknownCategory(problem);
    else notices.showProblem(problem, () => stream?.retryNow());
  }
  freshness.showStream(!refused);
};

const closePanel = () => {
  const { product } = view;
  navigate({ ...view, product: null });
  table.focusRow(product);
};

onpopstate = () => show(viewOf(location.search));

document.onclick = (event) => {
  if (event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const link = event.target instanceof Element && event.target.closest("a");
  if (!link || link.origin !== location.origin || link.pathname !== "/") return;
  event.preventDefault();
  navigate(viewOf(link.search));
};

document.onchange = ({ target }) => {
  if (!(target instanceof HTMLInputElement) || target.type !== "radio") return;
  const parameters = new URLSearchParams(addressOf(view).slice(2));
  parameters.set(target.name, target.value);
  navigate(viewOf(String(parameters)));
};

document.onkeydown = (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const { key, target } = event;
  if (key === "Escape" && view.product !== null) closePanel();
  else if (key === "ArrowDown" && target === document.body) table.focusRow(view.product);
  else if (key === "/" && !search.focused) search.focus();
  else return;
  event.preventDefault();
};

show(view, true);
categories.load();
