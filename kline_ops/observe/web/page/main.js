/** The page: asks, hears, and hands on to its parts. Another session than the recorder's own is polled. */

import { Refusal, get } from "./api.js";
import { askForToken, keep } from "./asked.js";
import { Chart } from "./chart.js";
import { Coverage } from "./coverage.js";
import { Happenings } from "./happenings.js";
import { Live } from "./live.js";
import { Sessions } from "./sessions.js";
import { Standing } from "./standing.js";
import { byId, clock, duration, moment, say, zone } from "./text.js";
import { spoken } from "./words.js";

/** Milliseconds between two questions. */
const EVERY = { sessions: 5_000, day: 10_000, month: 60_000, other: 2_000, events: 5_000, glance: 10_000 };
/** Milliseconds that a tab is hidden before it lets go of the stream of events. */
const HIDDEN = 20_000;
const CANDLES = 500;
/** Events after which the strips and the candles are asked for again at once. */
const CHANGING = new Set(["hole_found", "hole_filled", "hole_confirmed", "replaced", "disconnected", "live",
  "session_started", "alerted", "disk_full", "disk_recovered"]);

let own = "";
let isLocked = false;
let chosen = "";
let lost = null; // { since, word, until, why }
const asked = {};

const standing = new Standing();
const chart = new Chart(older);
const coverage = new Coverage();
const happenings = new Happenings();
const sessions = new Sessions((name) => {
  location.hash = name === own ? "" : `session=${encodeURIComponent(name)}`;
});

const isOwn = () => !chosen || chosen === own;
const of = () => (isOwn() ? "" : `session=${encodeURIComponent(chosen)}&`);

const live = new Live({
  opened() {
    lost = null;
    byId("frame").hidden = false;
    showNotice();
    refreshAll();
  },
  message({ kind, data }) {
    if (kind === "status") heardStatus(data);
    else if (kind === "kline") { if (isOwn()) chart.update(data); }
    else if (isOwn()) heardEvent(data);
  },
  status: heardStatus,
  lost(why, wait) {
    lost ??= { since: Date.now(), word: standing.record?.state ?? "" };
    Object.assign(lost, { why, until: Date.now() + wait });
    showNotice();
  },
  async locked() {
    isLocked = true;
    await askForToken();
    isLocked = false;
  },
});

function heardStatus(record) {
  const name = record.name ?? record.session;
  if (name && name !== own) {
    own = name;
    say(byId("about"), `kline-ops, session ${own}`);
    fromHash();
  }
  byId("frame").hidden = false;
  if (isOwn()) standing.update(record);
}

function heardEvent(event) {
  if (event.kind === "recorded") {
    // The candles tell it; one that came later than others has to be asked for.
    if (event.source !== "stream") soon();
    return;
  }
  happenings.add([event]);
  if (!document.hidden) happenings.drawIfDirty();
  if (CHANGING.has(event.kind)) soon();
  // Its last word: nothing will come after it.
  if (event.kind === "session_stopped" && standing.record) {
    standing.update({ ...standing.record, state: "STOPPED", reason: "", pid: null });
  }
}

/** Once for all that happens within a second. */
let soonTimer = 0;
function soon() {
  if (soonTimer) return;
  soonTimer = setTimeout(() => {
    soonTimer = 0;
    asked.day = asked.month = 0;
    void candles();
  }, 1_000);
}

// ---- what is asked for ----

/** A command records nothing; before the first candle there is no file to be read. */
const isCommand = () => Boolean(standing.record?.command);
const hasHistory = () => (standing.record ? !isCommand() : !isOwn());
const hasCandles = () => hasHistory() && !(isOwn() && standing.record.on_disk === 0);

/** Asks, and hands the answer on if it is still wanted. Failures are said where the answer would be. */
async function want(path, done, failed = () => {}) {
  const name = chosen;
  try {
    const answer = await get(path);
    if (name === chosen) done(answer);
  } catch (error) {
    if (name !== chosen || (error instanceof Refusal && error.status === 401)) return;
    failed(error instanceof Refusal ? [error.message, error.hint].filter(Boolean).join("; ") : "the recorder does not answer");
  }
}

const candles = () => hasCandles() && want(`/api/candles?${of()}limit=${CANDLES}`, (answer) => chart.load(answer), (why) => chart.fail(why));
const history = (span) => want(`/api/history?${of()}span=${span}`, (answer) => {
  clock.ahead = answer.until_ms - Date.now();
  coverage.update(span, answer);
  // Side by side they tell of the same time, of a session that is younger than a day.
  const { month } = coverage.answers;
  if (span === "day" && month && answer.figures.owed > month.figures.owed) asked.month = 0;
  standing.nowhere = Math.max(standing.nowhere, answer.figures.exchange);
  if (span === "day" || !coverage.answers.day) chart.mark(answer.marks);
}, (why) => coverage.fail(span, why));
const events = () => want(`/api/events?${of()}limit=200`, (answer) => {
  happenings.add(answer);
  happenings.drawIfDirty();
});

async function older(before) {
  if (chart.asking) return;
  chart.asking = true;
  await want(`/api/candles?${of()}limit=${CANDLES}&before=${encodeURIComponent(new Date(before).toISOString())}`, (answer) => {
    if (answer.candles.length === 0) chart.bars.hasAll = true;
    chart.load({ ...answer, forming: null });
  }, () => { chart.bars.hasAll = true; });
  chart.asking = false;
}

async function askSessions() {
  try {
    sessions.update(await get("/api/sessions"));
  } catch {
    return; // the list stays; the notice tells that the recorder does not answer
  }
  sessions.current = chosen || own;
  sessions.draw();
  const other = isOwn() ? null : sessions.of(chosen);
  if (other) standing.update(other);
}

function refreshAll() {
  for (const name of Object.keys(asked)) asked[name] = 0;
  void events();
  void candles();
  tick();
}

/** A tab that nobody looks at: its title still tells the word, now and then. */
async function glance(now) {
  if (!own || now - (asked.glance ?? 0) < EVERY.glance) return;
  asked.glance = now;
  try {
    if (isOwn()) standing.update(await get("/api/status"));
    else await askSessions();
  } catch {
    standing.draw();
  }
}

/** Each second: what is due is asked for, and what has become old is said to be. */
function tick() {
  const now = Date.now();
  byId("main").classList.toggle("command", isCommand());
  if (live.isResting) {
    void glance(now);
    return;
  }
  standing.draw(now);
  showNotice();
  if (document.hidden || lost || isLocked || !own) return;
  const due = (name, every) => {
    if (now - (asked[name] ?? 0) < every) return false;
    asked[name] = now;
    return true;
  };
  if (due("sessions", isOwn() ? EVERY.sessions : EVERY.other)) void askSessions();
  if (hasHistory() && due("day", EVERY.day)) void history("day");
  if (hasHistory() && due("month", EVERY.month)) void history("month");
  // Those of its own come by themselves, once the first answer was had.
  if (!(isOwn() && chart.name) && hasCandles() && due("candles", EVERY.other)) void candles();
  if (!isOwn() && due("events", EVERY.events)) void events();
}

// ---- which session ----

function fromHash() {
  const named = new URLSearchParams(location.hash.slice(1)).get("session");
  const name = named ?? own;
  if (name === chosen) return;
  const before = chosen;
  chosen = name;
  sessions.current = name;
  sessions.draw();
  if (!before) {
    if (!isOwn()) standing.clear(name);
    refreshAll();
    return;
  }
  standing.clear(name);
  chart.clear();
  coverage.clear();
  happenings.clear();
  const known = sessions.of(name);
  if (known) standing.update(known);
  refreshAll();
}

// ---- the notice, the token, the settings ----

function showNotice() {
  const place = byId("notice");
  const since = lost?.since ?? (standing.heardAt && isOwn() && standing.isStale() ? standing.heardAt : null);
  // A recorder that makes way for a fresh process is back within a moment.
  const tell = !isLocked && since !== null && Date.now() - since > 2_000 || (!isLocked && lost && !standing.record);
  place.hidden = !tell;
  if (!tell) return;
  const word = lost?.word || standing.record?.state;
  const state = word ? `; last state ${spoken(word)}` : "";
  const wait = lost ? Math.ceil((lost.until - Date.now()) / 1000) : 0;
  const again = wait > 0 ? `Trying again in ${duration(wait)}.` : "Trying again …";
  say(place, `Connection to the recorder lost since ${moment(since)}${state} (${lost?.why ?? "it says nothing"}). ${again}`);
}

keep("theme", (name) => {
  document.documentElement.dataset.theme = name;
  chart.restyle();
});
keep("zone", (name) => {
  zone.name = name;
  standing.draw();
  chart.restyle();
  coverage.rezone();
  happenings.rezone();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => chart.restyle());
addEventListener("hashchange", fromHash);
addEventListener("online", () => live.hurry());
document.addEventListener("resume", () => live.renew());
addEventListener("pagehide", () => live.rest());
addEventListener("pageshow", () => live.hurry());
let hiddenTimer = 0;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiddenTimer);
  if (document.hidden) {
    hiddenTimer = setTimeout(() => live.rest(), HIDDEN);
    return;
  }
  live.hurry();
  happenings.drawIfDirty();
  chart.soon();
  tick();
});
setInterval(tick, 1_000);
void live.run();
