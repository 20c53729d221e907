// The category search: an ARIA 1.2 combobox whose list box grows as one moves down it.

import { countOf, countText } from "./numbers.js";
import { elementById, make } from "./elements.js";

/** So many options are made at a time: thousands are never in the page as a whole. */
const CHUNK = 60;

const input = elementById("category", HTMLInputElement);
const popup = elementById("category-popup");
const listbox = elementById("categories");
const note = elementById("category-note");

export class CategorySearch {
  /** @type {Category[]} */
  #categories = [];
  #total = 0;
  /** @type {Category[]} */
  #matches = [];
  #active = -1;
  #typed = "";
  #chosen = "";

  /** @param {(category: string) => void} onChoose @param {() => void} onOpen */
  constructor(onChoose, onOpen) {
    this.onChoose = onChoose;
    this.onOpen = onOpen;
    input.onclick = () => this.#open();
    input.oninput = () => this.#open(input.value);
    input.onkeydown = (event) => this.#onKey(event);
    input.onblur = () => this.#close();
    // A press on an option must not take the focus from the input before the click arrives.
    popup.onmousedown = (event) => event.preventDefault();
    listbox.onclick = ({ target }) => {
      const option = target instanceof Element && target.closest("li");
      if (option) this.#choose([...listbox.children].indexOf(option));
    };
    listbox.onscroll = () => {
      if (listbox.scrollTop + 2 * listbox.clientHeight > listbox.scrollHeight) this.#grow(CHUNK);
    };
  }

  /** @param {string | null} category */
  show(category) {
    this.#chosen = category ?? "";
    if (!this.#isOpen) input.value = this.#chosen;
  }

  /** What can be chosen, of `total` in all. @param {Category[]} known @param {number} total */
  offer(known, total) {
    const active = this.#matches[this.#active];
    this.#categories = known;
    this.#total = total;
    if (!this.#isOpen) return;
    this.#match(listbox.childElementCount);
    this.#activate(active ? this.#matches.indexOf(active) : -1);
  }

  focus() {
    input.focus();
    this.#open();
  }

  get focused() {
    return document.activeElement === input;
  }

  get #isOpen() {
    return !popup.hidden;
  }

  #open(typed = "") {
    if (!typed) input.select();
    if (!this.#isOpen) this.onOpen();
    popup.hidden = false;
    input.ariaExpanded = "true";
    this.#typed = typed.trim();
    this.#match(CHUNK);
    const chosen = this.#matches.findIndex(({ category_id }) => category_id === this.#chosen);
    this.#activate(typed ? 0 : chosen);
  }

  #close() {
    popup.hidden = true;
    input.ariaExpanded = "false";
    input.value = this.#chosen;
    listbox.replaceChildren();
    this.#activate(-1);
  }

  /** Those that begin with what was typed, then those that hold it. @param {number} count */
  #match(count) {
    const typed = this.#typed.toLowerCase();
    /** @type {(category: Category) => number} */
    const placeIn = ({ category_id }) => category_id.toLowerCase().indexOf(typed);
    this.#matches = this.#categories.filter((category) => placeIn(category) === 0);
    this.#matches.push(...this.#categories.filter((category) => placeIn(category) > 0));
    listbox.replaceChildren();
    this.#grow(count);
    const read = this.#categories.length;
    note.textContent = this.#matches.length
      ? countOf(this.#matches.length, "category", "categories")
      : `None holds “${this.#typed}”; Enter opens it all the same`;
    if (read < this.#total) note.append(`, ${countText(read)} of ${countText(this.#total)} read`);
  }

  /** @param {number} count */
  #grow(count) {
    const made = listbox.childElementCount;
    this.#matches.slice(made, made + count).forEach(({ category_id, product_count }, index) => {
      const name = make("bdi", "", category_id);
      const option = make("li", "", name, make("span", "", countOf(product_count, "product")));
      option.id = `category-${made + index}`;
      option.role = "option";
      option.title = category_id;
      option.ariaSelected = String(category_id === this.#chosen);
      option.ariaSetSize = String(this.#matches.length);
      option.ariaPosInSet = String(made + index + 1);
      listbox.append(option);
    });
  }

  /** @param {number} index */
  #activate(index) {
    listbox.children[this.#active]?.classList.remove("active");
    this.#active = Math.min(index, this.#matches.length - 1);
    this.#grow(Math.max(0, this.#active + CHUNK / 2 - listbox.childElementCount));
    const option = listbox.children[this.#active];
    option?.classList.add("active");
    option?.scrollIntoView({ block: "nearest" });
    if (option) input.setAttribute("aria-activedescendant", option.id);
    else input.removeAttribute("aria-activedescendant");
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    /** @type {Record<string, () => void>} */
    const actions = {
      ArrowDown: () => this.#step(1),
      ArrowUp: () => this.#step(-1),
      Enter: () => this.#choose(this.#active),
      ...(this.#isOpen && { Escape: () => this.#close() }),
    };
    if (!actions[event.key] || event.isComposing) return;
    event.preventDefault();
    actions[event.key]?.();
  }

  /** @param {number} step */
  #step(step) {
    if (this.#isOpen) this.#activate(Math.max(0, this.#active + step));
    else this.#open();
  }

  /** @param {number} index of the match; what was typed is chosen where there is none */
  #choose(index) {
    const category = this.#matches[index]?.category_id ?? this.#typed;
    if (!this.#isOpen || !category) return;
    this.#chosen = category;
    this.#close();
    this.onChoose(category);
  }
}
