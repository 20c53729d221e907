// All categories, page by page: a shop may have many thousands, and the first can be used at once.

import { fetchCategories, refusalIn } from "./rankings_api.js";

const PAUSE = 3000;
/** New categories come with reports: a list this old is read anew when it is looked at. */
const OLD = 10 * 60_000;

export class CategoryList {
  /** @type {Category[]} */
  #categories = [];
  #loading = false;
  #loadedAt = 0;
  #pause = 0;

  /** @param {CategoryListener} listener */
  constructor(listener) {
    this.listener = listener;
  }

  refresh() {
    if (Date.now() - this.#loadedAt > OLD) this.load();
  }

  /** Reads all pages; what was known stays until as many have come. */
  async load() {
    if (this.#loading) return;
    this.#loading = true;
    clearTimeout(this.#pause);
    try {
      await this.#readPages();
    } catch (error) {
      const problem = refusalIn(error);
      this.listener.onProblem(problem);
      this.#pause = setTimeout(() => this.load(), Math.max(PAUSE, problem.retryAfter));
    }
    this.#loading = false;
  }

  async #readPages() {
    /** @type {Category[]} */
    const read = [];
    let page = await fetchCategories(null);
    for (;;) {
      read.push(...page.items);
      const last = !page.next_cursor;
      if (last || read.length > this.#categories.length) this.#categories = read;
      if (this.#categories === read && read[0]) this.listener.onCategories(read, page.total_count);
      if (last) break;
      page = await fetchCategories(page.next_cursor);
    }
    if (read.length) this.#loadedAt = Date.now();
    else {
      this.listener.onNone();
      this.#pause = setTimeout(() => this.load(), PAUSE);
    }
  }
}
