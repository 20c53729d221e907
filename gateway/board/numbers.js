// Numbers in the browser's locale, with the exact value for titles.

const counts = new Intl.NumberFormat();
/** From this amount on a column shows whole units of the currency. */
const ROUNDED_FROM = 10_000;

/** @type {(count: number) => string} */
export const countText = (count) => counts.format(count);

/** @type {(count: number, singular: string, plural?: string) => string} */
export const countOf = (count, singular, plural = `${singular}s`) =>
  `${countText(count)} ${count === 1 ? singular : plural}`;

/** The amount with `digits` decimal places; its text is formatted as it stands, so never inexact.
 * @type {(revenue: SalesAmount, digits?: number) => string} */
export const moneyText = ({ amount, currency }, digits = 2) =>
  new Intl.NumberFormat(undefined, {
    style: "currency",
    currency,
    currencyDisplay: "narrowSymbol",
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(/** @type {Intl.StringNumericLiteral} */ (amount));

/** The decimal places that make a column easy to compare. @type {(items: Ranked[]) => number} */
export const digitsFor = (items) =>
  items.some(({ revenue }) => Math.abs(Number(revenue.amount)) >= ROUNDED_FROM) ? 0 : 2;

/** What an item is ranked by, and its other total.
 * @type {(item: Ranked, view: View, digits: number) => {textContent: string, title: string}[]} */
export const totalsOf = ({ units, revenue }, { metric }, digits) => {
  const totals = [
    { textContent: countText(units), title: countOf(units, "unit") },
    { textContent: moneyText(revenue, digits), title: moneyText(revenue) },
  ];
  return metric === "units" ? totals : totals.reverse();
};
