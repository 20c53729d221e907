// Elements found and made. What the API says enters the page as text nodes, never as HTML.

/** The page's element of that id.
 * @template {HTMLElement} [E=HTMLElement]
 * @param {string} id @param {{new (): E, prototype: E}} [type] */
export const elementById = (id, type) => {
  const element = document.getElementById(id);
  if (element instanceof (type ?? HTMLElement)) return /** @type {E} */ (element);
  throw new Error(`The page has no such element: ${id}.`);
};

/** A new element with a class and content.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag @param {string} className @param {(string | Node)[]} content */
export const make = (tag, className = "", ...content) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...content);
  return element;
};

/** @type {(text: string, onClick: () => void) => HTMLButtonElement} */
export const makeButton = (text, onClick) => {
  const button = make("button", "button", text);
  button.type = "button";
  button.onclick = onClick;
  return button;
};
