/** The sessions of this machine: a list with their words; choosing one shows it. */

import { byId, counted, el, say } from "./text.js";
import { isBad, sign, spoken, tone } from "./words.js";

/** With more than so many a field to find one by. */
const FEW = 8;

const inOrder = (a, b) =>
  isBad(b.state) - isBad(a.state) || a.name.localeCompare(b.name, "en", { numeric: true });

export class Sessions {
  /** `chosen` is told the name of the one to be shown. */
  constructor(chosen) {
    this.records = [];
    this.items = new Map();
    this.current = "";
    byId("sessions-list").addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) chosen(button.dataset.session);
    });
    byId("sessions-find").addEventListener("input", () => this.draw());
  }

  /** The answer of /api/sessions; the recorder's own is the first. */
  update(records) {
    this.records = records;
    this.draw();
  }

  of(name) {
    return this.records.find((record) => record.name === name);
  }

  draw() {
    const [own, ...others] = this.records;
    const all = own ? [own, ...others.sort(inOrder)] : [];
    const find = byId("sessions-find").value.trim().toLowerCase();
    const listed = all.filter((record) =>
      [record.name, record.symbol ?? "", record.state].some((text) => text.toLowerCase().includes(find)));
    byId("sessions").hidden = all.length < 2;
    byId("frame").classList.toggle("alone", all.length < 2);
    byId("sessions-filter").hidden = all.length <= FEW;
    const bad = all.filter((record) => isBad(record.state)).length;
    say(byId("sessions-count"), bad ? `${all.length} · ${bad} not well` : `${all.length}`);
    say(byId("sessions-note"), listed.length < all.length ? `${listed.length} of ${counted(all.length, "session")}` : "");
    const items = listed.map((record) => this.#item(record));
    const list = byId("sessions-list");
    // Moved only where the order is another one: the focus stays where it is.
    if (items.some((item, at) => list.children[at] !== item) || list.children.length !== items.length) {
      const focused = document.activeElement;
      list.replaceChildren(...items);
      if (list.contains(focused)) focused.focus({ preventScroll: true });
    }
    const names = new Set(all.map((record) => record.name));
    for (const name of this.items.keys()) if (!names.has(name)) this.items.delete(name);
  }

  #item(record) {
    let item = this.items.get(record.name);
    if (!item) {
      item = el("li", {}, el("button", { type: "button", "data-session": record.name },
        el("span", { class: "sign", "aria-hidden": "true" }),
        el("span", { class: "name" }, record.name),
        el("span", { class: "what" })));
      this.items.set(record.name, item);
    }
    const button = item.firstChild;
    const stream = record.symbol ? ` · ${record.symbol} ${record.interval}` : "";
    button.dataset.tone = tone(record.state);
    say(button.querySelector(".sign"), sign(record.state));
    say(button.querySelector(".what"), `${spoken(record.state)}${stream}`);
    if (record.name === this.current) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
    return item;
  }
}
