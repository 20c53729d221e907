// What stands in place of a list when there is none, and what to do about it.

import { elementById, make, makeButton } from "./elements.js";
import { PERIODS } from "./moments.js";

const place = elementById("notice");

export const hide = () => {
  place.hidden = true;
};

/** @type {(title: string, ...content: (string | Node)[]) => void} */
const show = (title, ...content) => {
  place.replaceChildren(make("h2", "", title), ...content);
  place.hidden = false;
};

/** @type {(...content: (string | Node)[]) => HTMLElement} */
const paragraph = (...content) => make("p", "", ...content);

/** @type {(view: View) => void} */
export const showEmpty = ({ window }) => {
  const period = `${window === "hour" ? "in this" : "in these"} ${PERIODS[window]} `;
  const text = "The list fills by itself when a report with sales in this category lands.";
  show(`No sales ${window === "all_time" ? "" : period}yet`, paragraph(text));
};

/** @type {(problem: Refusal) => void} */
export const showUnknownCategory = ({ detail }) =>
  show(
    "Unknown category",
    paragraph(detail),
    paragraph("A category is known from its first sale on. To search: ", make("kbd", "", "/")),
  );

/** @type {(problem: Refusal, onRetry: () => void) => void} */
export const showProblem = ({ status, detail }, onRetry) =>
  show(
    status === 503 ? "The rankings can't be read just now" : "The list can't be shown",
    paragraph(detail),
    paragraph("The board tries again by itself."),
    makeButton("Try now", onRetry),
  );

/** The shop has no categories: nothing was ever reported. */
export const showFreshInstall = () =>
  show(
    "No report has been read yet",
    paragraph(
      "Drop an hour’s sales as ",
      make("code", "", "SalesReport-YYYYMMDDHH.csv"),
      " into the drop location, ",
      make("code", "", ".topsellers/dropbox"),
      " unless ",
      make("code", "", "TOPSELLERS_FEED_URL"),
      " names another. This page fills by itself. To see it with made-up sales first:",
    ),
    make("code", "", "topsellers generate --out .topsellers/dropbox --hours 24"),
  );
