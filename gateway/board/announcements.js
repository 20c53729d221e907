// One sentence for each update, for those who hear the board.

import { directionOf } from "./rank_move.js";
import { countOf, countText, moneyText } from "./numbers.js";
import { momentText, windowText } from "./moments.js";

/** @type {(view: View, ranking: Ranking, updated: boolean) => string} */
export const announcementOf = ({ window, metric }, ranking, updated) => {
  const { category_id: category, items, total_count: total } = ranking;
  const asOf = momentText(Date.parse(ranking.as_of), Date.now());
  const leader = items[0];
  if (!leader) return `${category}, ${windowText(window)}: no sales as of ${asOf}.`;
  const most = metric === "units" ? countOf(leader.units, "unit") : moneyText(leader.revenue);
  const leads = `${leader.product_id} leads with ${most}`;
  if (updated) return `Updated as of ${asOf}: ${leads}; ${movesText(items)}.`;
  const shown = `${countText(items.length)} of ${countOf(total, "product")}`;
  return `${category}, ${windowText(window)} by ${metric}: ${shown}; ${leads}.`;
};

/** @type {(items: Ranked[]) => string} */
const movesText = (items) => {
  const directions = items.map(directionOf);
  const moves = ["up", "down", "new"].map((wanted) => {
    const count = directions.filter((direction) => direction === wanted).length;
    return count && `${countText(count)} ${wanted}`;
  });
  return moves.filter(Boolean).join(", ") || "no rank changed";
};
