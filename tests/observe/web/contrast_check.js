// Elements whose text has less contrast than WCAG's AA wants, by the styles that are in force.
const rgb = (text) => (text.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
  .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
  .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
const over = ([r, g, b, a = 1], below) => [r, g, b].map((c, at) => c * a + below[at] * (1 - a));
const ground = (e) => {
  for (; e; e = e.parentElement) {
    const color = rgb(getComputedStyle(e).backgroundColor);
    if ((color[3] ?? 1) === 1) return color;
  }
  return [255, 255, 255];
};
const bad = [];
for (const e of document.querySelectorAll("body *")) {
  const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  if (!own || !e.checkVisibility() || e.closest(".plot, .unseen, option")) continue;
  const style = getComputedStyle(e);
  const below = ground(e);
  const [a, b] = [over(rgb(e.namespaceURI.includes("svg") ? style.fill : style.color), below), below].map(light);
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const least = e.matches(".sign, .mark, .level *") ? 3 : 4.5;
  if (ratio < least) bad.push(`${e.tagName} ${e.className.baseVal ?? e.className} ${e.textContent.slice(0, 20)} ${ratio.toFixed(2)}`);
}
return bad;
