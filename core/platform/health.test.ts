import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createFakeClock, realClock } from './clock.ts';
import { createHealth, PROBE_KINDS, probeAnswer, probeRoutes, readProbeFile, writeProbeFiles } from './health.ts';
import { startHttpEndpoint } from './http-endpoint.ts';

describe('probes', () => {
  test('answer as the existing service does (O-163, O-164; wire/01)', async () => {
    const clock = createFakeClock(Date.UTC(2026, 10, 21, 9, 19, 4, 814));
    const health = createHealth(clock);
    const touched_at = '2026-11-21T09:19:04.814Z';
    expect(probeAnswer(health, 'startup').status).toBe(400);
    expect(probeAnswer(health, 'liveness').status).toBe(200);
    expect(JSON.parse(probeAnswer(health, 'readiness').body)).toEqual({ ready: false, started: false, touched_at });
    health.started();
    for (const kind of PROBE_KINDS) {
      expect(probeAnswer(health, kind)).toEqual({
        status: 200,
        contentType: 'application/json; charset=utf-8',
        body: JSON.stringify({ ready: true, started: true, touched_at }),
      });
    }
    await clock.advance(5000);
    expect(health.body().touched_at).toBe('2026-11-21T09:19:09.814Z');
    health.close();
  });

  test('ready means started, alive and every condition holds; nothing but a failure ends life (O-165, O-168)', () => {
    const step = fc.oneof(
      fc.record({ condition: fc.constantFrom('draining', 'connections'), holds: fc.boolean() }),
      fc.constantFrom('started', 'failed'),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 10 }), (steps) => {
        const health = createHealth(createFakeClock());
        const model = new Map<string, boolean>();
        const seen = new Set<string>();
        const conditions = {
          draining: health.condition('draining'),
          connections: health.condition('connections'),
        };
        for (const each of steps) {
          if (typeof each === 'object') {
            conditions[each.condition].set(each.holds);
            model.set(each.condition, each.holds);
          } else {
            health[each]();
            seen.add(each);
          }
        }
        const isAlive = !seen.has('failed');
        expect(health.isPositive('startup')).toBe(seen.has('started'));
        expect(health.isPositive('liveness')).toBe(isAlive);
        expect(health.isPositive('readiness')).toBe(
          isAlive && seen.has('started') && ![...model.values()].includes(false),
        );
        health.close();
      }),
    );
  });

  test('over HTTP', async () => {
    const health = createHealth(createFakeClock());
    const endpoint = await startHttpEndpoint({ port: 0, host: '127.0.0.1', routes: probeRoutes(health) });
    const get = async (path: string, method = 'GET') =>
      (await fetch(`http://127.0.0.1:${endpoint.port}${path}`, { method })).status;
    expect(await get('/probes/startup')).toBe(400);
    health.started();
    expect(await get('/probes/startup')).toBe(200);
    expect(await get('/probes/readiness?x=1')).toBe(200);
    expect(await get('/probes/other')).toBe(404);
    expect(await get('/toString')).toBe(404);
    expect(await get('/probes/liveness', 'POST')).toBe(405);
    await expect(startHttpEndpoint({ port: endpoint.port, host: '127.0.0.1', routes: {} })).rejects.toMatchObject({
      code: 'PSYNC_S0110',
    });
    await endpoint.close();
    health.close();
  });
});

describe('probe files (O-66, O-166)', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-probes-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test('exist exactly while the probe is positive, and are written anew with every sign of life', async () => {
    const clock = createFakeClock();
    const health = createHealth(clock);
    const errors: unknown[] = [];
    const path = join(folder, 'a', 'b');
    const files = writeProbeFiles(health, path, (error) => errors.push(error));
    await files.settled();
    expect(await readdir(path)).toEqual(['liveness']);
    health.started();
    await files.settled();
    expect((await readdir(path)).toSorted()).toEqual(['liveness', 'readiness', 'startup']);
    await clock.advance(5000);
    await files.settled();
    expect(JSON.parse(await readFile(join(path, 'liveness'), 'utf8'))).toEqual(health.body());
    health.condition('draining').set(false);
    await files.settled();
    expect((await readdir(path)).toSorted()).toEqual(['liveness', 'startup']);
    await files.close();
    expect(await readdir(path)).toEqual([]);
    expect(errors).toEqual([]);
    health.close();
  });

  test('a file that is old is negative: the process hangs', async () => {
    await writeFile(join(folder, 'liveness'), '{}');
    expect(await readProbeFile(folder, 'liveness', realClock)).toBe(true);
    expect(await readProbeFile(folder, 'startup', realClock)).toBe(false);
    const old = Date.now() / 1000 - 31;
    await utimes(join(folder, 'liveness'), old, old);
    expect(await readProbeFile(folder, 'liveness', realClock)).toBe(false);
  });

  test('a folder that cannot be written is reported once, and ends nothing', async () => {
    const clock = createFakeClock();
    const health = createHealth(clock);
    const file = join(folder, 'file');
    await writeFile(file, '');
    const errors: unknown[] = [];
    const files = writeProbeFiles(health, join(file, 'probes'), (error) => errors.push(error));
    await files.settled();
    await clock.advance(20_000);
    await files.settled();
    expect(errors).toHaveLength(1);
    health.close();
  });
});
