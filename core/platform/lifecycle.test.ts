import { EventEmitter } from 'node:events';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createFakeClock } from './clock.ts';
import { codedError } from './errors/coded-error.ts';
import { runLifecycle, type LifecycleOptions, type Part } from './lifecycle.ts';
import type { Log } from './log.ts';

interface World {
  readonly clock: ReturnType<typeof createFakeClock>;
  readonly events: EventEmitter;
  readonly said: { level: string; message: string; code: string | undefined }[];
  readonly exits: number[];
  readonly steps: string[];
  part(name: string, more?: Partial<Part>): Part;
  run(parts: Part[], more?: Partial<LifecycleOptions>): Promise<number>;
}

function world(): World {
  const clock = createFakeClock();
  const events = new EventEmitter();
  const said: World['said'] = [];
  const exits: number[] = [];
  const steps: string[] = [];
  const log = Object.fromEntries(
    ['debug', 'info', 'warn', 'error'].map((level) => [
      level,
      (fields: { error?: { code?: string } }, message: string) =>
        said.push({ level, message, code: fields.error?.code }),
    ]),
  ) as unknown as Log;
  const step = (name: string) => async (): Promise<void> => void steps.push(name);
  return {
    clock,
    events,
    said,
    exits,
    steps,
    part: (name, more) => ({ name, start: step(`start ${name}`), stop: step(`stop ${name}`), ...more }),
    run: (parts, more) =>
      runLifecycle({
        parts,
        log,
        clock,
        events,
        exit: (code) => void exits.push(code),
        graceMs: 1000,
        onStarted: () => steps.push('started'),
        onStopping: () => steps.push('stopping'),
        ...more,
      }),
  };
}
const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe('lifecycle', () => {
  test('starts in order; on SIGTERM drains together, then stops in reverse and exits with 0 (O-11)', async () => {
    const { run, part, events, steps, clock } = world();
    const draining = (name: string): Partial<Part> => ({
      drain: async (graceMs) => {
        steps.push(`drain ${name} ${graceMs}`);
        await clock.sleep(100);
        steps.push(`drained ${name}`);
      },
    });
    const running = run([part('storage'), part('api', draining('api')), part('streams', draining('streams'))]);
    await settled();
    expect(steps).toEqual(['start storage', 'start api', 'start streams', 'started']);
    steps.length = 0;
    events.emit('SIGTERM');
    await clock.advance(100);
    expect(await running).toBe(0);
    expect(steps).toEqual([
      'stopping',
      'drain api 500',
      'drain streams 500',
      'drained api',
      'drained streams',
      'stop streams',
      'stop api',
      'stop storage',
    ]);
    expect(events.eventNames()).toEqual([]);
  });

  test('a part that fails to start ends the process with 1, after stopping what had started', async () => {
    const { run, part, steps, said } = world();
    const broken = part('replication', { start: () => Promise.reject(new Error('no')) });
    expect(await run([part('storage'), broken, part('api')])).toBe(1);
    expect(steps).toEqual(['start storage', 'stopping', 'stop storage']);
    expect(said).toContainEqual({ level: 'error', message: 'A part failed: the process stops', code: 'PSYNC_S0110' });
  });

  test('a part that fails later ends the process with 1 and its own code', async () => {
    const { run, part, steps, said } = world();
    let fail: (error: unknown) => void = () => undefined;
    const running = run([part('storage'), part('api', { start: async (context) => void (fail = context.fail) })]);
    await settled();
    fail(codedError('PSYNC_S1005', 'x'));
    expect(await running).toBe(1);
    expect(steps).toEqual(['start storage', 'started', 'stopping', 'stop api', 'stop storage']);
    expect(said).toContainEqual({ level: 'error', message: 'A part failed: the process stops', code: 'PSYNC_S1005' });
  });

  test('a signal during the start interrupts it, which is no failure', async () => {
    const { run, part, steps, events, clock } = world();
    const slow = part('slow', { start: ({ signal }) => clock.sleep(60_000, signal) });
    const running = run([part('storage'), slow, part('api')]);
    await settled();
    events.emit('SIGINT');
    expect(await running).toBe(0);
    expect(steps).toEqual(['start storage', 'stopping', 'stop storage']);
  });

  test('a start that does not listen to the signal is left behind', async () => {
    const { run, part, steps, events, clock } = world();
    const running = run([part('storage'), part('deaf', { start: () => new Promise(() => undefined) })]);
    await settled();
    events.emit('SIGTERM');
    await clock.advance(250);
    expect(await running).toBe(0);
    expect(steps).toEqual(['start storage', 'stopping', 'stop storage']);
  });

  test('parts that hang, reject or throw while stopping cannot keep the others from it', async () => {
    const behaviour = fc.constantFrom('good', 'hangs', 'rejects', 'throws', 'absent');
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(behaviour, behaviour), { minLength: 1, maxLength: 4 }), async (kinds) => {
        const { run, steps, events, clock, said } = world();
        const act = (kind: string, name: string): (() => Promise<void>) | undefined => {
          if (kind === 'absent') return undefined;
          return () => {
            steps.push(name);
            if (kind === 'throws') throw new Error(name);
            if (kind === 'hangs') return new Promise(() => undefined);
            return kind === 'rejects' ? Promise.reject(new Error(name)) : Promise.resolve();
          };
        };
        const parts = kinds.map(([drain, stop], i) => {
          const [onDrain, onStop] = [act(drain, `drain ${i}`), act(stop, `stop ${i}`)];
          return {
            name: `${i}`,
            start: () => Promise.resolve(),
            ...(onDrain === undefined ? {} : { drain: onDrain }),
            ...(onStop === undefined ? {} : { stop: onStop }),
          };
        });
        const running = run(parts);
        await settled();
        events.emit('SIGTERM');
        await clock.advance(1000);
        const flat = kinds.flat();
        expect(await running).toBe(flat.every((kind) => kind === 'good' || kind === 'absent') ? 0 : 1);
        expect(steps.filter((step) => step.startsWith('stop '))).toEqual(
          kinds.flatMap(([, stop], i) => (stop === 'absent' ? [] : [`stop ${i}`])).toReversed(),
        );
        const late = flat.filter((kind) => kind === 'hangs').length;
        expect(said.filter(({ code }) => code === 'PSYNC_S0111')).toHaveLength(late);
        expect(clock.waiting).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  test('a second signal ends the process at once', async () => {
    const { run, part, events, exits, clock } = world();
    const running = run([part('stuck', { stop: () => new Promise(() => undefined) })]);
    await settled();
    events.emit('SIGTERM');
    events.emit('SIGTERM');
    expect(exits).toEqual([1]);
    await clock.advance(1000);
    expect(await running).toBe(1);
  });

  test.each(['unhandledRejection', 'uncaughtException'])(
    '%s is logged with its code and ends the process',
    async (event) => {
      const { run, part, events, exits, said } = world();
      const running = run([part('storage')]);
      await settled();
      events.emit(event, new Error('lost'));
      expect(exits).toEqual([1]);
      expect(said).toContainEqual({
        level: 'error',
        message: 'Unhandled error: the process ends',
        code: 'PSYNC_S0112',
      });
      events.emit('SIGTERM');
      expect(await running).toBe(0);
    },
  );
});

/** With real signals and a real end of the process. */
async function runProcess(body: string, signal?: NodeJS.Signals): Promise<{ code: number | null; output: string }> {
  const url = (name: string): string => JSON.stringify(new URL(name, import.meta.url).href);
  const source = `
    import { runLifecycle } from ${url('./lifecycle.ts')};
    import { createLogger } from ${url('./logging.ts')};
    import { realClock } from ${url('./clock.ts')};
    const log = createLogger({ level: 'info', format: 'json' });
    const idle = setInterval(() => undefined, 1000);
    const part = { name: 'api', start: async () => { ${body} }, stop: async () => clearInterval(idle) };
    const onStarted = () => process.stdout.write('STARTED\\n');
    process.exitCode = await runLifecycle({ parts: [part], log, clock: realClock, graceMs: 5000, onStarted });`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (text.includes('STARTED') && signal !== undefined) child.kill(signal);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

describe('a real process', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('ends with 0 on %s', async (signal) => {
    const { code, output } = await runProcess('', signal);
    expect(code).toBe(0);
    expect(output).toMatch(new RegExp(`"signal":"${signal}".*"message":"Stopping"[^]*"message":"Stopped"`));
  });

  test('ends with 1 on an error that nobody handled, with the code in the log', async () => {
    const { code, output } = await runProcess(`setTimeout(() => Promise.reject(new Error('lost')), 10)`);
    expect(code).toBe(1);
    expect(output).toMatch(/"error_code":"PSYNC_S0112".*"cause":\{"name":"Error","message":"lost"/);
  });
});
