// How fresh the list is, always on screen, with a plain warning when it isn't what it should be.

import { HOUR, ageText, clockText, exactMoment, hourText, momentText } from "./moments.js";
import { elementById } from "./elements.js";

/** The next hour is overdue when its report has not come within an hour of its end. */
const OVERDUE = 2 * HOUR;
/** While newer hours keep landing a backlog is being read: the next is not overdue. */
const CATCHING_UP = 2 * 60_000;

const line = elementById("freshness");
const text = elementById("freshness-text");
const warning = elementById("freshness-warning");

export class FreshnessLine {
  #asOf = 0;
  #advancedAt = 0;
  #lost = false;

  constructor() {
    setInterval(() => this.#tell(), 5000);
  }

  /** @param {number} asOf the end of the newest hour in the list that is shown, 0 for no list */
  showList(asOf) {
    if (this.#asOf && asOf > this.#asOf) this.#advancedAt = Date.now();
    this.#asOf = asOf;
    this.#tell();
  }

  /** @param {boolean} lost */
  showStream(lost) {
    this.#lost = lost;
    this.#tell();
  }

  #tell() {
    const asOf = this.#asOf;
    const now = Date.now();
    const age = now - asOf;
    const behind = asOf > 0 && age > OVERDUE;
    const catchingUp = behind && now - this.#advancedAt < CATCHING_UP;
    // A generated feed may run ahead of the clock: an age would say nothing.
    const since = catchingUp ? ", catching up" : age < 0 ? "" : `, ${ageText(age)} ago`;
    const state = this.#lost ? "lost" : behind && !catchingUp ? "late" : asOf ? "live" : "waiting";
    const warnings = {
      live: "",
      waiting: "",
      late: `the hour ${hourText(asOf)} is overdue`,
      lost: asOf ? `reconnecting; this is the list of ${clockText(asOf)}` : "reconnecting",
    };
    line.dataset.state = state;
    text.textContent = asOf ? `as of ${momentText(asOf, now)}${since}` : "no list yet";
    text.title = asOf ? `The newest hour ended at ${exactMoment(asOf)}` : "";
    warning.textContent = warnings[state];
  }
}
