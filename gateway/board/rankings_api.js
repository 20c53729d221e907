// The REST endpoints that the board reads, with errors as the server words them.

/** Why a request failed; its error carries that where the server answered.
 * @type {(error: unknown) => Refusal} */
export const refusalIn = (error) =>
  (error instanceof Error && /** @type {Refusal | undefined} */ (error.cause)) || {
    status: 0,
    detail: "The server can't be reached. Check the network, or whether it is running.",
    retryAfter: 0,
  };

/** The address of a view's list, or with a tail of its stream.
 * @type {(view: ListView, tail?: string) => string} */
export const listAddress = ({ category, window, metric, limit }, tail = "") => {
  const parameters = new URLSearchParams({ window, metric, limit: String(limit) });
  return `/v1/categories/${encodeURIComponent(category)}/top-products${tail}?${parameters}`;
};

/** @type {(view: ListView, signal: AbortSignal) => Promise<Ranking>} */
export const fetchRanking = (view, signal) => fetchJson(listAddress(view), signal);

/** @type {(view: ProductView, signal: AbortSignal) => Promise<SalesRanks>} */
export const fetchSalesRanks = ({ product, window, metric }, signal) => {
  const parameters = new URLSearchParams({ window, metric });
  return fetchJson(`/v1/products/${encodeURIComponent(product)}/sales-ranks?${parameters}`, signal);
};

/** @type {(cursor: string | null) => Promise<CategoryPage>} */
export const fetchCategories = (cursor) =>
  fetchJson(`/v1/categories?limit=100${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);

/** @type {(address: string, signal?: AbortSignal) => Promise<any>} */
const fetchJson = async (address, signal) => {
  const response = await fetch(address, { cache: "no-cache", signal: signal ?? null });
  if (response.ok) return response.json();
  const { status } = response;
  const problem = await response.json().catch(() => ({}));
  const detail = String(problem.detail ?? problem.title ?? `The server answered ${status}.`);
  const retryAfter = Number(response.headers.get("Retry-After")) * 1000 || 0;
  throw new Error(detail, { cause: { status, detail, retryAfter } });
};
