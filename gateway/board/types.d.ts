// The board's types, for `tsc --checkJs` alone: browsers never load this file.

type RankingWindow = "hour" | "day" | "week" | "month" | "all_time";
type RankingMetric = "units" | "revenue";

/** What is looked at; `category` is null until one is chosen, `product` while its panel is closed. */
interface View {
  category: string | null;
  window: RankingWindow;
  metric: RankingMetric;
  limit: number;
  product: string | null;
}
type ListView = View & { category: string };
type ProductView = View & { product: string };

/** An exact decimal, "1234.50", and its currency. */
interface SalesAmount {
  amount: string;
  currency: string;
}

/** Equal totals share a rank; the previous one is null where it was not in the first 100. */
interface Ranked {
  rank: number;
  previous_rank: number | null;
  units: number;
  revenue: SalesAmount;
}
interface RankedProduct extends Ranked {
  product_id: string;
}
interface SalesRank extends Ranked {
  category_id: string;
  total_count: number;
}
interface Ranking {
  category_id: string;
  as_of: string;
  version: number;
  total_count: number;
  items: RankedProduct[];
}
interface SalesRanks {
  as_of: string | null;
  items: SalesRank[];
}
interface Category {
  category_id: string;
  product_count: number;
}
interface CategoryPage {
  items: Category[];
  total_count: number;
  next_cursor: string | null;
}

/** Why a request was not answered; `status` is 0 where no answer came, `retryAfter` milliseconds. */
interface Refusal {
  status: number;
  detail: string;
  retryAfter: number;
}

interface StreamListener {
  onRanking(ranking: Ranking): void;
  /** The stream is connected. */
  onLive(): void;
  /** It isn't, and comes back by itself; the refusal is why the plain list can't be had either. */
  onLost(refusal: Refusal | null): void;
}

/** Where there are no categories, or none can be read, they are asked for again by themselves. */
interface CategoryListener {
  onCategories(known: Category[], total: number): void;
  onNone(): void;
  onProblem(problem: Refusal): void;
}

/** Where an item stands in the list on screen, and the decimal places of its amounts. */
interface Place {
  tied: boolean;
  digits: number;
  /** Of the leader's total. */
  share: number;
}
