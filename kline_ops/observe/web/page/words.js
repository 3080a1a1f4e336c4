/** The words of a session: their sign, their tone, the title and the icon of the tab. */

const WORDS = {
  RECORDING: ["●", "good", "every candle that is due is on disk"],
  RUNNING: ["●", "good", "the command runs"],
  CATCHING_UP: ["◐", "warn", "candles are being fetched from REST"],
  STARTING: ["○", "warn", "no data yet"],
  STALLED: ["▲", "bad", "alive, but not recording"],
  STOPPED: ["■", "off", "ended cleanly"],
  DEAD: ["✕", "bad", "ended otherwise"],
};

/** What is shown where nothing is known. */
export const LOST = "NO CONTACT";

export const sign = (word) => (WORDS[word] ?? ["?"])[0];
export const tone = (word) => (WORDS[word] ?? ["?", "off"])[1];
export const meaning = (word) => (WORDS[word] ?? ["?", "off", ""])[2];
export const isBad = (word) => tone(word) === "bad";

/** `CATCHING_UP` reads better as two words. */
export const spoken = (word) => word.replaceAll("_", " ");

// Each a shape of its own, so that the tab tells the word to those who see no colours, too.
const SHAPES = {
  good: ["#1a8f6a", '<circle cx="16" cy="16" r="13"/>'],
  warn: ["#b26a00", '<path d="M16 3a13 13 0 0 1 0 26z"/><circle cx="16" cy="16" r="12" fill="none" stroke="#b26a00" stroke-width="3"/>'],
  bad: ["#d1381c", '<path d="M16 3 31 29H1z"/>'],
  off: ["#7a8791", '<rect x="4" y="4" width="24" height="24" rx="3"/>'],
};

let last = "";

/** The tab's own title and icon. */
export function tellTab(word, session) {
  const text = `${sign(word)} ${spoken(word)} ${session}`.trim();
  if (text === last) return;
  last = text;
  document.title = `${text} · kline-ops`;
  const [color, shape] = SHAPES[tone(word)];
  const drawn = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="${color}">${shape}</svg>`;
  document.getElementById("icon").href = `data:image/svg+xml,${encodeURIComponent(drawn)}`;
}
