/** What the page asks of whoever looks: the token, and choices that this browser keeps. */

import { token } from "./api.js";
import { byId, say } from "./text.js";

/** Resolves once there is another token to try. */
export function askForToken() {
  const form = byId("token-form");
  const field = byId("token");
  byId("frame").hidden = true;
  byId("notice").hidden = true;
  say(byId("token-error"), token.get() ? "This token is not the recorder's." : "");
  field.setAttribute("aria-invalid", String(Boolean(token.get())));
  form.hidden = false;
  field.focus();
  field.select();
  return new Promise((resolve) => {
    form.onsubmit = (event) => {
      event.preventDefault();
      token.set(field.value.trim());
      form.hidden = true;
      resolve();
    };
  });
}

/** A choice that this browser keeps. */
export function keep(id, changed) {
  const field = byId(id);
  const held = localStorage.getItem(`kline-ops-${id}`);
  if ([...field.options].some((option) => option.value === held)) field.value = held;
  changed(field.value);
  field.addEventListener("change", () => {
    localStorage.setItem(`kline-ops-${id}`, field.value);
    changed(field.value);
  });
}
