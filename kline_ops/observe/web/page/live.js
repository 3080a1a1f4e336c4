/** The one lasting connection to the recorder: it comes back by itself, whatever happened. */

import { Refusal, get, listen } from "./api.js";

/** Milliseconds between attempts. */
const FIRST = 500;
const LONGEST = 10_000;
const FAR = 3_600_000;

export class Live {
  /**
   * @param {object} heard `opened()`, `message(message)`, `status(record)`, `lost(why, wait)`, and
   *   `locked()`, which resolves once there is another token.
   */
  constructor(heard) {
    this.heard = heard;
    this.lastId = "";
    this.wake = () => {};
    this.isResting = false;
    this.ended = null;
  }

  /** For ever. */
  async run() {
    let wait = FIRST;
    for (;;) {
      while (this.isResting) await this.#pause(FAR);
      let why = "the stream of events ended";
      try {
        await listen("/api/events", this.lastId, () => this.heard.opened(), (message) => {
          wait = FIRST;
          if (message.id) this.lastId = message.id;
          this.heard.message(message);
        }, (this.ended = new AbortController()));
      } catch (error) {
        if (error instanceof Refusal && error.status === 401) {
          await this.heard.locked();
          continue;
        }
        // It answers, and has no place for another listener: what it says of itself is asked for.
        why = error instanceof Refusal ? error.message : "it does not answer";
        if (error instanceof Refusal) await this.#askOnce();
      }
      if (this.isResting) continue;
      const drawn = wait * (0.75 + Math.random() / 2);
      this.heard.lost(why, drawn);
      await this.#pause(drawn);
      wait = Math.min(2 * wait, LONGEST);
    }
  }

  /** Let go of the connection until `hurry`: a browser has only six for a host, for all its tabs. */
  rest() {
    this.isResting = true;
    this.ended?.abort();
  }

  /** Do not wait any longer: the tab is looked at again, or the network is back. */
  hurry() {
    this.isResting = false;
    this.wake();
  }

  /** Connect anew, and at once: the one that there is may have died while the browser slept. */
  renew() {
    this.ended?.abort();
    this.wake();
  }

  #pause(milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #askOnce() {
    try {
      this.heard.status(await get("/api/status"));
    } catch {
      // The next attempt is near.
    }
  }
}
