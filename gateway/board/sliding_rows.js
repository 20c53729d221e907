// Rows that slide to their new places: measured, put in order, and played from where they were.

const SLIDE = { id: "slide", duration: 560, easing: "cubic-bezier(.2, .7, .2, 1)" };
const MARK = { duration: 3200, easing: "ease-in" };
const stillness = matchMedia("(prefers-reduced-motion: reduce)");

/** Makes `rows` the content of their parent. A row with the focus keeps it.
 * @type {(parent: HTMLElement, rows: HTMLElement[], animated: boolean) => void} */
export const slideRows = (parent, rows, animated) => {
  const slides = animated && !stillness.matches;
  const tops = new Map(slides ? [...parent.children].map((row) => [row, topOf(row)]) : []);
  putInOrder(parent, rows);
  if (!slides) return;
  // A slide still under way counted where the row was, and must not count where it goes.
  for (const row of rows) {
    for (const running of row.getAnimations()) if (running.id === SLIDE.id) running.cancel();
  }
  const moves = rows.map((row) => (tops.get(row) ?? NaN) - topOf(row));
  rows.forEach((row, index) => {
    const move = moves[index];
    if (move) row.animate([{ transform: `translateY(${move}px)` }, {}], SLIDE);
    else if (!tops.has(row)) row.animate([{ opacity: 0 }, {}], SLIDE);
  });
};

/** Marks a row for a moment. @type {(row: HTMLElement) => void} */
export const markRow = (row) => {
  const backgroundColor = getComputedStyle(row).getPropertyValue("--mark");
  row.classList.add("marked");
  const unmark = () => row.classList.remove("marked");
  row.animate([{ backgroundColor }, {}], MARK).finished.then(unmark, unmark);
};

/** @type {(row: Element) => number} */
const topOf = (row) => row.getBoundingClientRect().top;

/** An element that is put elsewhere loses the focus, so the others are put around it.
 * @type {(parent: HTMLElement, rows: HTMLElement[]) => void} */
const putInOrder = (parent, rows) => {
  const place = rows.findIndex((row) => row.contains(document.activeElement));
  const focused = rows[place];
  if (!focused) return parent.replaceChildren(...rows);
  const wanted = new Set(/** @type {Element[]} */ (rows));
  for (const row of [...parent.children]) if (!wanted.has(row)) row.remove();
  focused.before(...rows.slice(0, place));
  focused.after(...rows.slice(place + 1));
};
