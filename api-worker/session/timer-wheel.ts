/**
 * One timer for all sessions. Each has at most one due time; thousands of timers of their own would cost more than what they do (S-582).
 */
import type { Clock, Timer } from '#core/platform/clock.ts';

export interface WheelItem {
  /** Its time has come. May schedule itself again. */
  due(now: number): void;
}

export interface TimerWheel {
  /** Calls `due` at `at` (milliseconds since 1970) or up to a quarter of a second later. Replaces an earlier time of the item. */
  schedule(item: WheelItem, at: number): void;
  remove(item: WheelItem): void;
  /** Items that wait. */
  readonly size: number;
  stop(): void;
}

const TICK_MS = 250;
/** One turn is 64 s; later times stay in their slot for another turn. */
const SLOTS = 256;

export function createTimerWheel(clock: Clock): TimerWheel {
  const slots = Array.from({ length: SLOTS }, () => new Map<WheelItem, number>());
  const slotOf = new Map<WheelItem, Map<WheelItem, number>>();
  let tick = Math.floor(clock.now() / TICK_MS);
  let timer: Timer;

  const remove = (item: WheelItem): void => {
    slotOf.get(item)?.delete(item);
    slotOf.delete(item);
  };

  const schedule = (item: WheelItem, at: number): void => {
    remove(item);
    // Never the slot being emptied, so that one that schedules itself for now is called on the next tick.
    const slot = slots[Math.max(Math.ceil(at / TICK_MS), tick + 1) % SLOTS]!;
    slot.set(item, at);
    slotOf.set(item, slot);
  };

  const turn = (): void => {
    const now = clock.now();
    const end = Math.floor(now / TICK_MS);
    // After a jump of the clock one turn visits everything.
    for (let steps = Math.min(Math.max(end - tick, 0), SLOTS); steps > 0; steps--) {
      tick = end - steps + 1;
      const slot = slots[tick % SLOTS]!;
      for (const [item, at] of slot) {
        if (at > now) continue;
        remove(item);
        item.due(now);
      }
    }
    tick = end;
    timer = clock.setTimer(TICK_MS, turn);
  };
  timer = clock.setTimer(TICK_MS, turn);

  return {
    schedule,
    remove,
    get size() {
      return slotOf.size;
    },
    stop: () => timer.cancel(),
  };
}
