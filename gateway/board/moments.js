// Hours, periods and ages in words. Hours are UTC, as in the feed; instants are milliseconds.

const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** @type {(options: Intl.DateTimeFormatOptions) => (instant: number) => string} */
const inUtc = (options) => {
  const format = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options });
  return (instant) => format.format(instant);
};
export const clockText = inUtc({ hour: "2-digit", minute: "2-digit" });
const dateText = inUtc({ day: "numeric", month: "short" });

/** "08:00 UTC", with the date where it isn't today's.
 * @type {(instant: number, now: number) => string} */
export const momentText = (instant, now) => {
  const today = dateText(instant) === dateText(now) && Math.abs(now - instant) < DAY;
  return `${today ? "" : `${dateText(instant)}, `}${clockText(instant)} UTC`;
};

/** In full, in UTC and on this computer's clock. @type {(instant: number) => string} */
export const exactMoment = (instant) =>
  `${new Date(instant).toUTCString()}, here ${new Date(instant).toLocaleString()}`;

/** "12 s", "12 min", "3 h", "2 days". @type {(age: number) => string} */
export const ageText = (age) => {
  if (age < MINUTE) return `${Math.floor(age / 1000)} s`;
  if (age < 2 * HOUR) return `${Math.floor(age / MINUTE)} min`;
  return age < 2 * DAY ? `${Math.floor(age / HOUR)} h` : `${Math.floor(age / DAY)} days`;
};

/** "09:00–10:00 UTC", of the hour that begins then. @type {(start: number) => string} */
export const hourText = (start) => `${clockText(start)}–${clockText(start + HOUR)} UTC`;

/** @type {Record<RankingWindow, string>} */
export const PERIODS = {
  hour: "hour",
  day: "24 hours",
  week: "7 days",
  month: "30 days",
  all_time: "all time",
};

/** @type {(window: RankingWindow) => string} */
export const windowText = (window) => (window === "all_time" ? "" : "last ") + PERIODS[window];

/** The hours that a window covers whose newest ends at `asOf`: "24 hours to 25 Nov, 08:00 UTC".
 * @type {(window: RankingWindow, asOf: number) => string} */
export const periodText = (window, asOf) =>
  window === "hour"
    ? `hour ${hourText(asOf - HOUR)}, ${dateText(asOf - HOUR)}`
    : `${PERIODS[window]} to ${dateText(asOf)}, ${clockText(asOf)} UTC`;
