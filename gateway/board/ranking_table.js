// The list itself: a table whose rows are kept by product, so that they can move.

import { addressOf } from "./address.js";
import { countOf, countText, digitsFor, totalsOf } from "./numbers.js";
import { elementById, make } from "./elements.js";
import { markRow, slideRows } from "./sliding_rows.js";
import { moveMark } from "./rank_move.js";
import { periodText } from "./moments.js";

/** @typedef {ReturnType<typeof makeRow>} Row */

const table = elementById("ranking");
const caption = elementById("ranking-caption");
const rankedTitle = elementById("ranked-title");
const otherTitle = elementById("other-title");
const body = elementById("ranking-rows");

export class RankingTable {
  /** @type {Map<string, Row>} */
  #rows = new Map();
  /** The product that Tab reaches, and arrow keys leave from. */
  #current = "";
  #opened = "";

  constructor() {
    // The whole row opens its product.
    body.onclick = ({ target }) => {
      if (target instanceof Element && !target.closest("a")) {
        target.closest("tr")?.querySelector("a")?.click();
      }
    };
    body.onkeydown = (event) => this.#onKey(event);
    body.addEventListener("focusin", ({ target }) => {
      for (const [product, { link }] of this.#rows) if (link === target) this.#current = product;
      this.#tell();
    });
  }

  /** Waits for a view's list: with the rows of another window or metric, or with empty ones.
   * @param {View} view @param {boolean} kept */
  wait(view, kept) {
    table.ariaBusy = "true";
    if (kept && this.#rows.size) return;
    this.#rows.clear();
    this.#current = "";
    this.#head(view, "Reading the list");
    body.replaceChildren(...Array.from({ length: view.limit }, makeSkeleton));
  }

  /** @param {View} view @param {Ranking} ranking @param {boolean} updated marks what moved */
  show(view, { items, as_of, total_count }, updated) {
    const period = periodText(view.window, Date.parse(as_of));
    const total = countOf(total_count, "product");
    this.#head(view, `Top ${countText(items.length)} of ${total} by ${view.metric}, ${period}`);
    table.ariaBusy = "false";
    const before = this.#rows;
    const digits = digitsFor(items);
    const most = Math.max(0, ...items.map((item) => rankedTotal(item, view)));
    /** @type {Row[]} */
    const moved = [];
    this.#rows = new Map();
    items.forEach((item, index) => {
      const row = before.get(item.product_id) ?? makeRow(item.product_id);
      this.#rows.set(item.product_id, row);
      if (row.element.dataset.rank !== String(item.rank)) moved.push(row);
      const tied = [items[index - 1], items[index + 1]].some((near) => near?.rank === item.rank);
      const share = most && rankedTotal(item, view) / most;
      fillRow(row, item, view, { tied, digits, share });
    });
    if (!this.#rows.has(this.#current)) this.#current = items[0]?.product_id ?? "";
    this.#tell();
    const elements = [...this.#rows.values()].map(({ element }) => element);
    slideRows(body, elements, before.size > 0);
    if (updated) moved.forEach(({ element }) => markRow(element));
  }

  /** Shows whose panel is open. @param {string | null} product */
  showOpened(product) {
    this.#opened = product ?? "";
    this.#tell();
  }

  /** Focuses a product's row, or the one that Tab reaches. @param {string | null} product */
  focusRow(product) {
    (this.#rows.get(product ?? "") ?? this.#rows.get(this.#current))?.link.focus();
  }

  #tell() {
    for (const [product, { element, link }] of this.#rows) {
      link.tabIndex = product === this.#current ? 0 : -1;
      element.classList.toggle("opened", product === this.#opened);
      link.ariaCurrent = String(product === this.#opened);
    }
  }

  /** @param {View} view @param {string} text */
  #head({ metric }, text) {
    caption.textContent = text;
    rankedTitle.textContent = metric === "units" ? "Units" : "Revenue";
    otherTitle.textContent = metric === "units" ? "Revenue" : "Units";
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const links = [...this.#rows.values()].map(({ link }) => link);
    const place = links.findIndex((link) => link === event.target);
    const last = links.length - 1;
    const places = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: last };
    const next = places[/** @type {keyof typeof places} */ (event.key)];
    if (next === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    links[Math.max(0, Math.min(next, last))]?.focus();
  }
}

/** @type {(item: Ranked, view: View) => number} */
const rankedTotal = ({ units, revenue }, { metric }) =>
  metric === "units" ? units : Number(revenue.amount);

const makeSkeleton = () => {
  const cells = ["rank", "move-cell", "product", "ranked", "other"];
  const row = make("tr", "skeleton", ...cells.map((name) => make("td", name, make("i", "bone"))));
  row.ariaHidden = "true";
  return row;
};

/** @param {string} product */
const makeRow = (product) => {
  const link = make("a", "product-link", make("bdi", "", product));
  link.title = product;
  const header = make("th", "product", link);
  header.scope = "row";
  const [rank, move, other] = [make("td", "rank"), make("td", "move-cell"), make("td", "other")];
  const [total, bar] = [make("span", "total"), make("span", "bar")];
  const element = make("tr", "", rank, move, header, make("td", "ranked", total, bar), other);
  return { element, rank, move, link, total, bar, other };
};

/** @type {(row: Row, item: RankedProduct, view: View, place: Place) => void} */
const fillRow = (row, item, view, { tied, digits, share }) => {
  row.element.dataset.rank = String(item.rank);
  row.link.href = addressOf({ ...view, product: item.product_id });
  row.rank.replaceChildren(countText(item.rank));
  if (tied) row.rank.append(make("span", "tie", "=", make("span", "spoken", " shared")));
  row.move.replaceChildren(moveMark(item));
  const [total, other] = totalsOf(item, view, digits);
  Object.assign(row.total, total);
  Object.assign(row.other, other);
  row.bar.title = `${Math.round(share * 100)} % of the leader`;
  row.bar.style.setProperty("--share", share.toFixed(4));
};
