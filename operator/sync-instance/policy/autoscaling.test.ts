import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ObservedPod } from '../observed.ts';
import { NOON, partStatus, playedPod } from '../testing/played-pods.ts';
import { scaleApi, type ScalingInput } from './autoscaling.ts';

const bounds = { minReplicas: 1, maxReplicas: 10, targetConnections: 100, scaleDownDelaySeconds: 300 };

/** A worker that reports so many connections; null: it does not answer. */
const worker = (connections: number | null, given: Partial<ObservedPod> = {}): ObservedPod =>
  playedPod({
    report:
      connections === null
        ? null
        : { status: partStatus({ api: { connections, connectionLimit: 200, draining: false } }) },
    ...given,
  });

const scale = (given: Partial<ScalingInput>): ReturnType<typeof scaleApi> =>
  scaleApi({ autoscaling: bounds, replicas: 2, present: null, pods: [], memory: null, now: NOON, ...given });

/** With the number of workers that there are. */
const of = (pods: readonly ObservedPod[], given: Partial<ScalingInput> = {}): number =>
  scale({ present: pods.length, pods, ...given }).replicas;

/** Down at once, so that what is needed shows. */
const atOnce = { autoscaling: { ...bounds, scaleDownDelaySeconds: 0 } };

describe('how many', () => {
  test.each<[string, number, Partial<ScalingInput>]>([
    ['without autoscaling: what the resource says', 7, { autoscaling: undefined, replicas: 7, present: 3 }],
    ['without autoscaling also none', 0, { autoscaling: undefined, replicas: 0, present: 3 }],
    ['no Deployment yet: what the resource says, within the bounds', 10, { replicas: 50 }],
    ['scaled to zero by hand: the least', 1, { present: 0 }],
    ['above the most: the most', 10, { present: 12 }],
  ])('%s', (_, expected, given) => {
    expect(scale(given).replicas).toBe(expected);
  });

  test.each<[string, number, (number | null)[]]>([
    ['on target', 2, [100, 100]],
    ['not quite a tenth above is close enough', 2, [109, 109]],
    ['more than that is not', 3, [111, 111]],
    ['far above', 5, [250, 250]],
    ['at most maxReplicas', 10, [5000]],
    ['not quite a tenth below is, too', 10, Array.from({ length: 10 }, () => 91)],
    ['fewer are enough', 2, [50, 50, 50]],
    ['nobody is connected: the least', 1, [0, 0, 0]],
  ])('%s', (_, expected, connections) => {
    expect(
      of(
        connections.map((count) => worker(count)),
        atOnce,
      ),
    ).toBe(expected);
  });

  test('shares that add up to a whole number only but for rounding need no worker more', () => {
    const autoscaling = { ...atOnce.autoscaling, targetConnections: 3 };
    const pods = Array.from({ length: 13 }, () => worker(9 / 13));
    expect(of(pods, { autoscaling })).toBe(3);
  });

  test.each<[string, number, (number | null)[], number]>([
    ['half of it is enough for the clients, but not for the CPU', 3, [0.8, 0.8], 60],
    ['CPU on target', 2, [0.6, 0.6], 60],
    ['CPU below target', 1, [0.2, 0.2], 60],
    ['not measured: none goes', 2, [null, null], 60],
    ['one is not measured: it counts as full', 2, [0.1, null], 60],
  ])('CPU: %s', (_, expected, shares, targetCPUPercent) => {
    const pods = shares.map((cpuShare) => worker(0, { cpuShare }));
    expect(of(pods, { autoscaling: { ...atOnce.autoscaling, targetCPUPercent } })).toBe(expected);
  });
});

describe('lack of news', () => {
  test('a silent worker is not taken away (SPEC.md, invariant 8)', () => {
    expect(of([worker(0), worker(null), worker(null)], atOnce)).toBe(2);
    expect(of([worker(null), worker(null), worker(null)], atOnce)).toBe(3);
  });

  test('new workers that do not answer yet are no reason for still more', () => {
    const first = worker(250);
    const wanted = of([first]);
    expect(wanted).toBe(3);
    expect(of([first, worker(null), worker(null)])).toBe(wanted);
  });

  test('neither is the pod that a roll-out has too many', () => {
    const pods = [worker(100), worker(100), worker(null)];
    expect(scale({ present: 2, pods }).replicas).toBe(2);
  });

  test('pods that have ended or are ending are no workers', () => {
    const evicted = worker(null, { pod: { metadata: { name: 'evicted' }, status: { phase: 'Failed' } } });
    const ending = worker(400, { isTerminating: true });
    expect(scale({ ...atOnce, present: 2, pods: [worker(10), worker(10), evicted, ending] }).replicas).toBe(1);
  });
});

const anyBounds = fc
  .record({
    least: fc.integer({ min: 1, max: 12 }),
    more: fc.nat(12),
    targetConnections: fc.integer({ min: 1, max: 300 }),
    scaleDownDelaySeconds: fc.nat(600),
    targetCPUPercent: fc.option(fc.integer({ min: 1, max: 200 }), { nil: undefined }),
  })
  .map(({ least, more, targetCPUPercent, ...rest }) => ({
    ...rest,
    minReplicas: least,
    maxReplicas: least + more,
    ...(targetCPUPercent === undefined ? {} : { targetCPUPercent }),
  }));
const anyLoad = fc.record({
  connections: fc.option(fc.nat(1000), { nil: null }),
  cpuShare: fc.option(fc.double({ min: 0, max: 3, noNaN: true }), { nil: null }),
});
const podsOf = (loads: readonly { connections: number | null; cpuShare: number | null }[]): ObservedPod[] =>
  loads.map(({ connections, cpuShare }) => worker(connections, { cpuShare }));

describe('whatever the load', () => {
  test('between the least and the most', () => {
    fc.assert(
      fc.property(anyBounds, fc.array(anyLoad, { maxLength: 15 }), fc.nat(30), (autoscaling, loads, present) => {
        const { replicas } = scale({ autoscaling, present, pods: podsOf(loads) });
        expect(replicas).toBeGreaterThanOrEqual(autoscaling.minReplicas);
        expect(replicas).toBeLessThanOrEqual(autoscaling.maxReplicas);
      }),
    );
  });

  test('more clients never mean fewer workers', () => {
    fc.assert(
      fc.property(
        anyBounds,
        fc.array(anyLoad, { minLength: 1, maxLength: 12 }),
        fc.nat(11),
        fc.nat(500),
        (autoscaling, loads, which, more) => {
          const busier = loads.map((load, index) =>
            index === which % loads.length && load.connections !== null
              ? { ...load, connections: load.connections + more }
              : load,
          );
          const given = { autoscaling: { ...autoscaling, scaleDownDelaySeconds: 0 }, present: loads.length };
          expect(scale({ ...given, pods: podsOf(busier) }).replicas).toBeGreaterThanOrEqual(
            scale({ ...given, pods: podsOf(loads) }).replicas,
          );
        },
      ),
    );
  });

  test('never fewer than were needed at some moment of the last scaleDownDelaySeconds', () => {
    const looks = fc.array(fc.record({ clients: fc.nat(1500), afterSeconds: fc.integer({ min: 1, max: 120 }) }), {
      minLength: 2,
      maxLength: 60,
    });
    fc.assert(
      fc.property(looks, (sequence) => {
        let now = NOON;
        let present = bounds.minReplicas;
        let memory: ScalingInput['memory'] = null;
        const needs: { readonly at: number; readonly count: number }[] = [];
        let downAt = -Infinity;
        for (const { clients, afterSeconds } of sequence) {
          now += afterSeconds * 1000;
          const pods = Array.from({ length: present }, () => worker(clients / present));
          const scaling = scale({ present, pods, memory, now });
          needs.push({ at: now, count: Math.min(bounds.maxReplicas, Math.floor(clients / 110)) });
          if (scaling.replicas < present) {
            expect(now - downAt).toBeGreaterThanOrEqual(bounds.scaleDownDelaySeconds * 1000);
            downAt = now;
            const recent = needs.filter(({ at }) => now - at < bounds.scaleDownDelaySeconds * 1000);
            for (const { count } of recent) expect(scaling.replicas).toBeGreaterThanOrEqual(count);
          }
          ({ replicas: present, memory } = scaling);
        }
      }),
    );
  });

  test('with a steady load it comes to rest at once', () => {
    fc.assert(
      fc.property(anyBounds, fc.nat(3000), fc.integer({ min: 1, max: 24 }), (drawn, clients, begin) => {
        const { targetCPUPercent: _, ...autoscaling } = { targetCPUPercent: 0, ...drawn, scaleDownDelaySeconds: 0 };
        const next = (present: number): number =>
          scale({ autoscaling, present, pods: podsOf(evenly(clients, present)) }).replicas;
        const rest = next(begin);
        expect(next(rest)).toBe(rest);
      }),
    );
  });
});

const evenly = (clients: number, workers: number): { connections: number; cpuShare: null }[] =>
  Array.from({ length: workers }, () => ({ connections: clients / workers, cpuShare: null }));
