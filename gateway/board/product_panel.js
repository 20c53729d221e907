// A product's ranks in all its categories, beside the list, or over it where there is no room.

import { addressOf } from "./address.js";
import { countOf, countText, digitsFor, totalsOf } from "./numbers.js";
import { fetchSalesRanks, refusalIn } from "./rankings_api.js";
import { elementById, make, makeButton } from "./elements.js";
import { moveMark } from "./rank_move.js";
import { periodText } from "./moments.js";

/** Other categories' lists may follow moments after the one on screen. */
const FOLLOW_UPS = [0, 1000, 3000, 9000];

const dialog = elementById("panel", HTMLDialogElement);
const heading = elementById("panel-heading");
const summary = elementById("panel-summary");
const content = elementById("panel-content");
const narrow = matchMedia("(width < 64rem)");

export class ProductPanel {
  /** @type {ProductView | null} */
  #view = null;
  #listAsOf = 0;
  #reading = new AbortController();

  /** @param {() => void} onClose the user wishes it closed */
  constructor(onClose) {
    elementById("panel-close").onclick = onClose;
    dialog.oncancel = (event) => {
      event.preventDefault();
      onClose();
    };
    narrow.onchange = () => this.#open();
  }

  /** Shows a view's product, or closes where it names none. @param {View} view */
  show(view) {
    const { product } = view;
    if (product === null) {
      this.#view = null;
      this.#reading.abort();
      dialog.close();
      return;
    }
    if (this.#view?.product !== product) {
      heading.replaceChildren(make("bdi", "", product));
      summary.textContent = "Reading its ranks";
      content.replaceChildren(make("i", "bone"), make("i", "bone"), make("i", "bone"));
    }
    this.#view = { ...view, product };
    if (!dialog.open) this.#open();
    this.#read(this.#view);
  }

  /** The list beside it moved on. @param {number} asOf */
  follow(asOf) {
    this.#listAsOf = asOf;
    if (this.#view) this.#read(this.#view);
  }

  #open() {
    dialog.close();
    if (this.#view) narrow.matches ? dialog.showModal() : dialog.show();
  }

  /** @param {ProductView} view */
  async #read(view) {
    this.#reading.abort();
    this.#reading = new AbortController();
    const { signal } = this.#reading;
    for (const pause of FOLLOW_UPS) {
      if (pause) await new Promise((resolve) => setTimeout(resolve, pause));
      if (signal.aborted) return;
      try {
        const ranks = await fetchSalesRanks(view, signal);
        showRanks(view, ranks);
        if (ranks.as_of === null || Date.parse(ranks.as_of) >= this.#listAsOf) return;
      } catch (error) {
        if (signal.aborted) return;
        summary.textContent = "Its ranks can't be shown";
        const retry = makeButton("Try again", () => this.#read(view));
        content.replaceChildren(make("p", "", refusalIn(error).detail), retry);
        return;
      }
    }
  }
}

/** @type {(view: View, ranks: SalesRanks) => void} */
const showRanks = (view, { as_of, items }) => {
  const period = as_of ? `, ${periodText(view.window, Date.parse(as_of))}` : "";
  const count = countOf(items.length, "category", "categories");
  summary.textContent = `Ranked in ${count} by ${view.metric}${period}`;
  if (items.length === 0) {
    content.replaceChildren(make("p", "", "It sold nothing in this window, or all came back."));
    return;
  }
  const focused = content.contains(document.activeElement) && document.activeElement?.textContent;
  const headers = ["Category", "Rank", "Move", view.metric === "units" ? "Units" : "Revenue"];
  const cells = headers.map((text) => Object.assign(make("th", "", text), { scope: "col" }));
  const best = items.toSorted((one, other) => one.rank - other.rank);
  const rows = best.map((item) => rankRow(view, item, digitsFor(items)));
  const caption = make("caption", "spoken", "Its rank in each category");
  const head = make("thead", "", make("tr", "", ...cells));
  content.replaceChildren(make("table", "ranks", caption, head, make("tbody", "", ...rows)));
  // The link that had the focus was made anew.
  for (const link of content.querySelectorAll("a")) if (link.textContent === focused) link.focus();
};

/** @type {(view: View, item: SalesRank, digits: number) => HTMLTableRowElement} */
const rankRow = (view, item, digits) => {
  const { category_id } = item;
  const link = make("a", "", make("bdi", "", category_id));
  link.href = addressOf({ ...view, category: category_id });
  link.title = category_id;
  link.ariaCurrent = String(category_id === view.category);
  const size = make("small", "", countOf(item.total_count, "product"));
  const category = Object.assign(make("th", "", link, size), { scope: "row" });
  const rank = make("td", "", countText(item.rank));
  const [ranked, other] = totalsOf(item, view, digits);
  const total = Object.assign(make("td"), ranked, { title: `${ranked?.title}, ${other?.title}` });
  return make("tr", "", category, rank, make("td", "", moveMark(item)), total);
};
