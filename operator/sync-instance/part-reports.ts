/** Asking the pods of instances how they are: `GET /status`, bounded in time, size and number. */
import { Agent, request } from 'node:http';
import type { Clock } from '#core/platform/clock.ts';
import { LONGEST_STATUS_BYTES } from '#core/platform/status/contract.ts';
import { readPartStatus } from '#core/platform/status/parse.ts';
import { METRICS_PORT } from './desired/ports.ts';
import type { LivePod, PartReport } from './observed.ts';

export interface PartReports {
  /** Null: there is nobody to ask. Never rejects; what was told a moment ago is not asked again. */
  read(pod: LivePod): Promise<PartReport | null>;
}

const TIMEOUT_MS = 2000;
/** Several events in a row lead to one question. */
const FRESH_MS = 2000;
const MOST_AT_ONCE = 32;
const MOST_REMEMBERED = 5000;

export function createPartReports({
  clock,
  port = METRICS_PORT.containerPort,
}: {
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly port?: number;
}): PartReports {
  const agent = new Agent({ keepAlive: true, maxSockets: 2, timeout: TIMEOUT_MS * 5 });
  const known = new Map<string, { readonly at: number; readonly report: Promise<PartReport> }>();
  const take = createTurns(MOST_AT_ONCE);

  return {
    async read({ metadata, status }) {
      const address = status?.podIP;
      if (address === undefined || status?.phase !== 'Running') return null;
      const key = `${metadata.uid} ${address}`;
      const now = clock.monotonic();
      const present = known.get(key);
      if (present !== undefined && now - present.at < FRESH_MS) return present.report;
      const report = take(() => ask(agent, address, port));
      known.delete(key);
      known.set(key, { at: now, report });
      if (known.size > MOST_REMEMBERED) known.delete(known.keys().next().value!);
      return report;
    },
  };
}

function ask(agent: Agent, host: string, port: number): Promise<PartReport> {
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const failed = (): void => resolve({ problem: 'it did not answer' });
    const sent = request({ agent, host, port, path: '/status', signal }, (response) => {
      const pieces: Buffer[] = [];
      let bytes = 0;
      response.on('data', (piece: Buffer) => {
        bytes += piece.length;
        if (bytes > LONGEST_STATUS_BYTES) response.destroy(new Error('too long'));
        else pieces.push(piece);
      });
      response.on('error', failed);
      response.on('end', () => {
        if (response.statusCode !== 200) resolve({ problem: `it answered with status ${response.statusCode}` });
        else resolve(readPartStatus(Buffer.concat(pieces).toString('utf8')));
      });
    });
    sent.on('error', failed);
    sent.end();
  });
}

/** Lets so many run at once; the others wait for their turn. */
function createTurns(most: number): <T>(run: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (run) => {
    if (running >= most) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    try {
      return await run();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}
