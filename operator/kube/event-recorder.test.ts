import { describe, expect, test } from 'vitest';
import { createFakeClock } from '#core/platform/clock.ts';
import type { KubeObject } from './contract.ts';
import { createEventRecorder, type EventNote } from './event-recorder.ts';
import { KubeError } from './kube-error.ts';

const log = { debug() {}, info() {}, warn() {}, error() {} };
const about = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: 'n', uid: 'u', resourceVersion: '1' },
};
const note = (text: string): EventNote => ({ type: 'Normal', reason: 'Happened', action: 'Testing', note: text });

function recorder() {
  const clock = createFakeClock();
  const writes: [string, KubeObject & { readonly [field: string]: unknown }][] = [];
  let fails = false;
  const write = (how: string, object: object): void => {
    if (fails) throw new KubeError('NotFound', 'gone');
    writes.push([how, object as never]);
  };
  const kube = {
    async create(_type: unknown, object: KubeObject): Promise<never> {
      write('create', object);
      return object as never;
    },
    async patch(_type: unknown, _place: unknown, patch: object): Promise<never> {
      write('patch', patch);
      return patch as never;
    },
  };
  const { record } = createEventRecorder({ kube, clock, random: () => 0.5, log, instance: 'pod-1' });
  return { clock, writes, record, fail: (value: boolean) => (fails = value) };
}

describe('events', () => {
  test('the same again is one series, written at most once a minute; later it is a new event', async () => {
    const { clock, writes, record } = recorder();
    for (let times = 0; times < 10; times++) {
      await record(about, note('x'));
      await clock.advance(1000);
    }
    expect(writes.map(([how]) => how)).toEqual(['create', 'patch']);
    expect(writes[1]![1]['series']).toMatchObject({ count: 2 });
    await clock.advance(60_000);
    await record(about, note('x'));
    expect(writes[2]![1]['series']).toMatchObject({ count: 11 });
    await clock.advance(400_000);
    await record(about, note('x'));
    expect(writes.map(([how]) => how)).toEqual(['create', 'patch', 'patch', 'create']);
  });

  test('an object that changes all the time fills nothing: 25 events, then one in ten seconds', async () => {
    const { clock, writes, record } = recorder();
    for (let times = 0; times < 100; times++) await record(about, note(`x${times}`));
    expect(writes.length).toBe(25);
    await clock.advance(20_000);
    for (let times = 100; times < 200; times++) await record(about, note(`x${times}`));
    expect(writes.length).toBe(27);
  });

  test('never rejects, and goes on after a failure', async () => {
    const { writes, record, fail } = recorder();
    fail(true);
    await record(about, note('x'));
    fail(false);
    await record(about, note('x'));
    expect(writes.map(([how]) => how)).toEqual(['create']);
  });

  test('notes are at most 1024 bytes, cut between characters', async () => {
    const { writes, record } = recorder();
    for (const text of ['ü'.repeat(2000), '💧'.repeat(1000), 'a'.repeat(1025)]) await record(about, note(text));
    for (const [, { note: written }] of writes as unknown as [string, { note: string }][]) {
      expect(Buffer.byteLength(written)).toBeLessThanOrEqual(1024);
      expect(Buffer.byteLength(written)).toBeGreaterThan(1000);
      expect(written).not.toContain('�');
    }
  });
});
