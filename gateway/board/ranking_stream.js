// One list, kept current: its server-sent events, and what to do when they fail.
//
// A board hangs on a wall for weeks. A stream that breaks is opened again after growing pauses; one
// that only falls silent (a laptop slept) is found by asking for the plain list now and then. That
// list also tells why a stream is refused, which EventSource keeps quiet.

import { fetchRanking, listAddress, refusalIn } from "./rankings_api.js";

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 15_000;
const UNKNOWN_PAUSE = 30_000;
/** A stream that is back within this time was never shown as lost. */
const GRACE = 1500;
const SILENCE = 60_000;

export class RankingStream {
  /** @type {EventSource | null} */
  #source = null;
  #failures = 0;
  #version = -1;
  #heardAt = 0;
  #pause = 0;
  #grace = 0;
  #end = new AbortController();

  /** @param {ListView} view @param {StreamListener} listener */
  constructor(view, listener) {
    this.view = view;
    this.listener = listener;
    const { signal } = this.#end;
    addEventListener("online", () => this.retryNow(), { signal });
    document.addEventListener("visibilitychange", () => this.#checkSilence(), { signal });
    const checks = setInterval(() => this.#checkSilence(), SILENCE / 4);
    signal.addEventListener("abort", () => clearInterval(checks));
    this.#connect();
  }

  close() {
    this.#end.abort();
    this.#disconnect();
    clearTimeout(this.#grace);
  }

  retryNow() {
    this.#disconnect();
    this.#connect();
  }

  #connect() {
    this.#heardAt = Date.now();
    this.#source = new EventSource(listAddress(this.view, "/stream"));
    this.#source.addEventListener("ranking", ({ data }) => {
      this.#failures = 0;
      clearTimeout(this.#grace);
      this.#grace = 0;
      this.listener.onLive();
      this.#take(JSON.parse(data));
    });
    // The gateway tells of a list that it can't read any more on the open stream.
    for (const type of ["error", "unavailable"]) {
      this.#source.addEventListener(type, () => this.#recover());
    }
  }

  #disconnect() {
    clearTimeout(this.#pause);
    this.#source?.close();
    this.#source = null;
  }

  /** @param {Ranking} ranking */
  #take(ranking) {
    this.#heardAt = Date.now();
    this.#version = ranking.version;
    this.listener.onRanking(ranking);
  }

  #plainList = () => fetchRanking(this.view, this.#end.signal);

  async #recover() {
    this.#disconnect();
    this.#failures += 1;
    this.#grace ||= setTimeout(() => this.listener.onLost(null), GRACE);
    // At random, so that a restarted gateway doesn't meet all its boards at once.
    let pause = Math.min(FIRST_PAUSE * 2 ** this.#failures, LONGEST_PAUSE) * Math.random();
    try {
      const ranking = await this.#plainList();
      if (this.#version !== ranking.version && !this.#source) this.#take(ranking);
    } catch (error) {
      if (this.#end.signal.aborted) return;
      const problem = refusalIn(error);
      this.listener.onLost(problem);
      pause = problem.status === 404 ? UNKNOWN_PAUSE : Math.max(pause, problem.retryAfter);
    }
    if (this.#end.signal.aborted || this.#source) return;
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => this.#connect(), pause);
  }

  async #checkSilence() {
    if (document.hidden || !this.#source || Date.now() - this.#heardAt < SILENCE) return;
    this.#heardAt = Date.now();
    try {
      if ((await this.#plainList()).version !== this.#version && this.#source) this.retryNow();
    } catch {
      if (!this.#end.signal.aborted) this.#recover();
    }
  }
}
