"""What a gap is due to, as the history of its session tells. Pure.

The fate of a candle is decided as it closes: what was wrong at the close of a gap's first candle is
its cause; what was wrong further on is named after it. A recorder tells of a candle that did not come
(``hole_found``): one that it told nothing of was on disk, and was taken out of the file later.
"""

from __future__ import annotations

from dataclasses import replace

from kline_ops.gaps.fates import confirmed_absent, rest_candles, spans_in
from kline_ops.gaps.history import Batch, History, Repair
from kline_ops.gaps.model import NO_CAUSE, Cause, Gap
from kline_ops.gaps.spells import FOR_EVER, Phase, Spell, sentence
from kline_ops.market import timestamp
from kline_ops.market.interval import Interval

__all__ = ["cause_of", "confirmed_absent", "rest_candles"]

#: A closing frame may come so late (ms), and this machine's clock may be wrong by so much without
#: being told; neither counts for more than a quarter of a candle.
_LATE_MS, _SKEW_MS = 2_000, 1_000
#: A connection that ends this long (ms) after the last candle brought nothing before.
_RUN_UP_MS = 120_000
#: Further causes that are named, and how many holes are looked at for one.
_NAMED, _LOOKED_AT = 3, 100
#: Which of several troubles is told, the most telling first. One that only touches a close counts as
#: ``_TOUCHES`` less.
_RANKS = {
    "disk": 0, "crash": 1, "suspended": 1,
    "ban": 2, "refused": 2, "disconnect": 2, "stopped": 2, "restart": 2,
    "rejected": 3, "silence": 4, "hung": 5, "handover": 8, "waiting": 9,
}  # fmt: skip
_TOUCHES = 3
#: What is told under another word.
_WORDS = {"handover": "restart", "waiting": "disk"}


def cause_of(history: History, gap: Gap, interval: Interval) -> Cause:
    """What the candles of a gap are missing for; ``unknown`` where the log does not tell."""
    if history.began_ms is None:
        return NO_CAUSE
    case = _Case(history, gap, interval)
    cause = case.cause()
    further = [] if cause.kind in {"exchange", "unknown"} else case.further(cause.kind)
    fresh = [words for words in further if words not in cause.text]
    return replace(cause, text="; then ".join([cause.text, *fresh]))


class _Case:
    """One gap, and what is known of it."""

    def __init__(self, history: History, gap: Gap, interval: Interval) -> None:
        self._history, self._gap, self._interval = history, gap, interval
        #: When the fate of the first missing candle was decided, and of the last one.
        self._close = interval.after(gap.first_missing_ms)
        self._last_close = interval.after(gap.last_missing_ms)
        quarter = interval.typical_ms // 4
        self._late, self._slack = min(_LATE_MS, quarter), min(_SKEW_MS, quarter)
        #: When the recorder first told that the first candle is missing.
        found = history.found.touching(gap.first_missing_ms, gap.first_missing_ms)
        self._found = min(found, key=_at, default=None)
        self._told = None if self._found is None else self._found.at_ms

    def cause(self) -> Cause:
        """The cause of the first missing candle."""
        absent = self._confirmed()
        if absent is not None:
            told = timestamp.to_text(absent.at_ms)
            return Cause("exchange", f"the exchange had none of it, as it said until {told}")
        spell = self._spell_at(self._close, self._told)
        repair = self._repair(spell)
        if repair is not None:
            return Cause("repaired", _repaired(repair))
        if spell is None:
            return self._run_up() or self._unclosed()
        return self._as_cause(spell, spell.phase(self._close))

    def further(self, kind: str) -> list[str]:
        """What else was wrong until the last missing candle closed, in few words."""
        phases = [
            phase
            for spell in self._history.spells.touching(self._close, self._last_close)
            for phase in spell.phases
            if self._close < phase.at_ms <= self._last_close
        ]
        phases = sorted([*phases, *self._unclosed_later(), *self._repairs_later()], key=_at)
        found: dict[str, str] = {}
        for phase in phases:
            if _WORDS.get(phase.kind, phase.kind) != kind and phase.kind != "waiting":
                found.setdefault(phase.kind, phase.words)
        return list(found.values())[:_NAMED]

    def _unclosed_later(self) -> list[Phase]:
        """A candle further on that was told missing while nothing was wrong."""
        for batch in self._found_within()[:_LOOKED_AT]:
            close = self._interval.after(batch.first_ms)
            if close > self._close and self._spell_at(close) is None and self._history.live(close):
                return [Phase(close, "unclosed", self._words_of_unclosed(batch.first_ms))]
        return []

    def _repairs_later(self) -> list[Phase]:
        """Repairs that may have taken out some of the candles: those were not told missing before."""
        gap, slots = self._gap, self._interval.slots
        found = []
        for repair in self._repairs():
            before = [batch for batch in self._found_within() if batch.at_ms < repair.at_ms]
            known = sum(slots(*span) for span in spans_in(before, gap, self._interval))
            until = min(self._last_close, self._interval.floor(repair.at_ms))
            if known < slots(gap.first_missing_ms, until):
                found.append(Phase(repair.at_ms, "repaired", _repaired(repair)))
        return found

    def _repairs(self) -> list[Repair]:
        """Those that may have to do with the gap.

        Torn bytes stand at the end of a file: what was there was to become the next row. Lines in
        the middle that are found as a recorder begins are not what was missed meanwhile.
        """
        spell = self._spell_at(self._close, self._told)
        repairs = [repair for repair in self._history.repairs if repair.at_ms > self._close]
        return [
            repair
            for repair in repairs
            if (
                repair.at_ms <= self._interval.after(self._last_close)
                if repair.at_end
                else spell is None or not _covers(spell, repair.at_ms)
            )
        ]

    def _found_within(self) -> list[Batch]:
        gap = self._gap
        return self._history.found.touching(gap.first_missing_ms, gap.last_missing_ms)

    def _confirmed(self) -> Batch | None:
        first = self._gap.first_missing_ms
        absent = confirmed_absent(self._history, self._gap, self._interval)
        if not absent or absent[0].first_ms != first:
            return None
        return self._history.confirmed.touching(first, first)[-1]

    def _spell_at(self, ms: int, told_ms: int | None = None) -> Spell | None:
        """The spell in force as a candle closed at this moment; none that began after it was told."""
        covering = [
            spell
            for spell in self._history.spells.touching(ms - self._slack, ms + self._late)
            if (told_ms is None or spell.began_ms < told_ms) and not self._is_refuted(spell, ms)
        ]
        return min(covering, key=lambda spell: self._rank(spell, ms), default=None)

    def _is_refuted(self, spell: Spell, ms: int) -> bool:
        """A connection that is given up for silent may come back before there is another one.

        It has where a candle that opened after it fell silent stands before the gap, not from REST.
        """
        phase, before = spell.phase(ms), self._gap.before_ms
        if phase.kind != "silence" or before is None or phase.at_ms >= before:
            return False
        return not rest_candles(self._history, before, before)

    def _rank(self, spell: Spell, ms: int) -> int:
        kind = spell.phase(ms).kind
        if kind == "hung" and self._ended_within(spell):
            return 1
        # A frame comes after the close that it tells of.
        touches = not _covers(spell, ms) and kind != "rejected"
        return _RANKS[kind] + _TOUCHES * touches

    def _ended_within(self, halt: Spell) -> bool:
        """A process that stands still loses what comes only where the other end does not wait."""
        until = halt.ended_ms + _SKEW_MS
        return any(
            phase.kind == "disconnect" and halt.began_ms <= phase.at_ms <= until
            for spell in self._history.spells.touching(halt.began_ms, until)
            for phase in spell.phases
        )

    def _repair(self, spell: Spell | None) -> Repair | None:
        """The repair that took the first candle out, if it was on disk before."""
        repair = next(iter(self._repairs()), None)
        if repair is None or (self._told is not None and self._told <= repair.at_ms):
            return None
        if spell is not None and _covers(spell, self._close):
            # A file is repaired as the recorder begins again, and what was missed is told only then.
            missed = self._told is not None or repair.at_ms <= spell.last_ms
            return None if missed else repair
        return repair

    def _run_up(self) -> Cause | None:
        """Nothing that came from the first missing candle on was kept, until something ended."""
        until, told = self._interval.after(self._last_close), self._told
        for spell in self._history.spells.touching(self._close, until):
            phase = spell.phases[0]
            early = spell.began_ms <= self._close + _RUN_UP_MS
            if phase.kind == "disconnect" and early:
                # It was dead before.
                silence = Phase(self._close, "silence", "nothing came")
                dead = replace(spell, began_ms=silence.at_ms)
                cause = self._as_cause(dead, silence)
                return replace(cause, text=f"{cause.text}; then {phase.words}")
            # What was missing while the process ran, it would have told itself.
            if phase.kind == "disk" or (
                phase.kind == "crash" and (told or FOR_EVER) > spell.ended_ms
            ):
                return self._as_cause(spell, phase)
        return None

    def _unclosed(self) -> Cause:
        """Nothing was wrong with the line."""
        found, close = self._found, self._close
        spells = self._history.spells.touching(close, close)
        live = bool(self._history.live(close)) or any(self._is_refuted(s, close) for s in spells)
        # At the end of a file there was no next candle to show that this one is missing.
        known = found is not None or (self._gap.after_ms is None and not self._is_outside())
        if not live or not known:
            return Cause("unknown", self._silence_of_the_log(live=live))
        recovered = 0
        if found is not None:
            recovered = rest_candles(self._history, found.first_ms, found.last_ms)
        words = self._words_of_unclosed(self._gap.first_missing_ms)
        return Cause("unclosed", words, 0.0, recovered)

    def _is_outside(self) -> bool:
        """Whether the log begins after the first candle closed, or ends before."""
        began, ended = self._history.began_ms, self._history.ended_ms
        return began is None or ended is None or not began <= self._close <= ended

    def _words_of_unclosed(self, open_ms: int) -> str:
        live = self._history.live(self._interval.after(open_ms))
        which = f" on connection {', '.join(map(str, live))}" if live else ""
        return f"no close of {timestamp.to_text(open_ms)} came{which}"

    def _silence_of_the_log(self, *, live: bool) -> str:
        """Why nothing can be said."""
        began, ended = self._history.began_ms, self._history.ended_ms
        if began is not None and self._close < began:
            return f"the event log begins at {timestamp.to_text(began)} only"
        if ended is not None and self._close > ended:
            return f"the event log ends at {timestamp.to_text(ended)}"
        if live and self._found is None:
            return "the recorder missed nothing here: the row was taken out of the file later"
        return "the event log does not tell"

    def _as_cause(self, spell: Spell, phase: Phase) -> Cause:
        """A spell as a cause: how long it was dark, and what of it came from REST."""
        gap, over = self._gap, spell.ended_ms < FOR_EVER
        first, last = spell.began_ms, spell.ended_ms
        if not over:
            last = max(first, self._history.ended_ms or 0)
        shift, floor = self._interval.shift, self._interval.floor
        recovered = rest_candles(
            self._history, floor(first - self._slack), shift(floor(last + self._slack), -1)
        )
        if not recovered:
            # What stands around the gap came by a connection: it was dark in between, no longer.
            if gap.before_ms is not None:
                first = max(first, min(gap.first_missing_ms, last))
            came = FOR_EVER if gap.after_ms is None else self._interval.after(gap.after_ms)
            if came + self._interval.typical_ms < last:
                last, over = max(first, came), True
        lasted = (last - first) / 1000.0 if over else None
        words, began = sentence(phase, lasted), spell.phases[0]
        if spell.dark and began.kind not in {phase.kind, "silence"} and began.at_ms < phase.at_ms:
            words = f"{words}; first {began.words}"
        kind, dark = _WORDS.get(phase.kind, phase.kind), lasted if spell.dark else None
        return Cause(kind, words, dark, recovered)


def _repaired(repair: Repair) -> str:
    return f"the candle file was repaired at {timestamp.to_text(repair.at_ms)}: {repair.what}"


def _covers(spell: Spell, ms: int) -> bool:
    return spell.first_ms <= ms <= spell.last_ms


def _at(told: Batch | Phase) -> int:
    return told.at_ms
