// How a rank moved since the hour before: a shape, the number of places, and words.

import { countOf, countText } from "./numbers.js";
import { make } from "./elements.js";

/** @type {(item: Ranked) => "up" | "down" | "new" | "same"} */
export const directionOf = ({ rank, previous_rank: previous }) => {
  if (previous === null) return "new";
  return rank === previous ? "same" : rank < previous ? "up" : "down";
};

/** @type {(item: Ranked) => HTMLElement} */
export const moveMark = (item) => {
  const direction = directionOf(item);
  const mark = make("span", `move ${direction}`);
  if (item.previous_rank === null) {
    mark.append("new");
    mark.title = "Not in the first 100 an hour before";
    return mark;
  }
  const places = Math.abs(item.rank - item.previous_rank);
  const digits = make("span", "", places ? countText(places) : "");
  digits.ariaHidden = "true";
  const words = places ? `${direction} ${countOf(places, "place")}` : "same place";
  mark.append(digits, make("span", "spoken", words));
  mark.title = `${words}: was ${countText(item.previous_rank)}`;
  return mark;
};
