// What a screen reader could not name, and what is out of order.
const bad = [];
const name = (e) => (e.getAttribute("aria-label") || e.innerText || [...(e.labels ?? [])].map((l) => l.innerText).join()
  || (e.getAttribute("aria-labelledby") ?? "").split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join(" ")).trim();
for (const e of document.querySelectorAll("button, select, input, a, summary, nav, main section, [role]")) {
  if (e.checkVisibility() && !e.matches("main, [role=alert]") && !e.closest(".plot *") && !name(e)) bad.push(e.outerHTML.slice(0, 80));
}
for (const e of document.querySelectorAll("table")) if (!e.caption || !e.querySelector("th[scope]")) bad.push("table " + e.id);
const levels = [...document.querySelectorAll("h1, h2, h3")].map((e) => Number(e.tagName[1]));
levels.forEach((level, at) => { if (at && level > levels[at - 1] + 1) bad.push("heading " + at); });
const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
if (new Set(ids).size !== ids.length && !document.querySelector(".plot svg")) bad.push("ids");
if (!document.documentElement.lang || !document.querySelector("main") || !document.querySelector("h1")) bad.push("frame");
return bad;
