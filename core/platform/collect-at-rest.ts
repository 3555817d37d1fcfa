/**
 * Gives memory back when a process comes to rest.
 *
 * V8 does that by itself: some seconds after a collection it looks whether the program still allocates much, and if not collects once more, in
 * small steps, and closes up what is left. In Node it never finds that (`--trace-memory-reducer` says "high alloc" of a process that allocates
 * nothing), so what ten thousand clients left behind when they came stays until the next load: 450 MB instead of 320. Asked to favour memory, V8
 * collects without looking for that.
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { performance, type EventLoopUtilization } from 'node:perf_hooks';
import type { Clock, Timer } from './clock.ts';

/** What is asked of the process. */
export interface Collector {
  /** Share of the time, from 0 to 1, that the process was at work since it was asked last. */
  load(): number;
  /** Bytes that its heap and its buffers have from the system. */
  usedBytes(): number;
  favourMemory(does: boolean): void;
}

/** How often it is looked; at rest, memory is favoured for this long: V8 looks every 8 s. */
const TURN_MS = 20_000;
/** With less to do than this, a collection disturbs nobody. */
const REST = 0.25;
/** What has not grown by so much since the last time is left alone. */
const GROWTH = 1.15;
const GROWTH_BYTES = 8 * 1024 * 1024;

/** Looks until it is cancelled. */
export function collectAtRest(collector: Collector, clock: Clock): Timer {
  let timer: Timer;
  let isFavoured = false;
  let bytesBefore = collector.usedBytes();
  const turn = (): void => {
    const rests = collector.load() < REST;
    if (isFavoured) {
      isFavoured = false;
      collector.favourMemory(false);
      bytesBefore = collector.usedBytes();
    } else if (rests && collector.usedBytes() > bytesBefore * GROWTH + GROWTH_BYTES) {
      isFavoured = true;
      collector.favourMemory(true);
    }
    timer = clock.setTimer(TURN_MS, turn);
  };
  timer = clock.setTimer(TURN_MS, turn);
  return { cancel: () => timer.cancel() };
}

/** The collector of this process. */
export function thisCollector(): Collector {
  let before: EventLoopUtilization = performance.eventLoopUtilization();
  return {
    load() {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, before);
      before = now;
      return utilization;
    },
    usedBytes() {
      const { total_heap_size: heap, external_memory: buffers } = getHeapStatistics();
      return heap + buffers;
    },
    favourMemory: (does) => setFlagsFromString(does ? '--optimize-for-size' : '--no-optimize-for-size'),
  };
}
