// The address holds what is looked at, so that a view can be sent to someone.

/** @type {RankingWindow[]} */
const WINDOWS = ["hour", "day", "week", "month", "all_time"];
const LIMITS = [10, 20, 50, 100];

/** The view that a query string names; what is missing or unknown in it takes its default.
 * @type {(search: string) => View} */
export const viewOf = (search) => {
  const parameters = new URLSearchParams(search);
  const limit = Number(parameters.get("limit"));
  return {
    category: parameters.get("category") || null,
    window: WINDOWS.find((window) => window === parameters.get("window")) ?? "day",
    metric: parameters.get("metric") === "revenue" ? "revenue" : "units",
    limit: LIMITS.includes(limit) ? limit : 20,
    product: parameters.get("product") || null,
  };
};

/** @type {(view: View) => string} */
export const addressOf = ({ category, window, metric, limit, product }) => {
  const parameters = new URLSearchParams({ window, metric, limit: String(limit) });
  if (category) parameters.set("category", category);
  if (product) parameters.set("product", product);
  return `/?${parameters}`;
};
