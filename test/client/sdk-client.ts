/** An app with the real `@powersync/node`, in a process of its own, as tests see it. */
import { fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../instance/instance.ts';
import type { SdkCommand, SdkStatus, SdkTable } from './sdk-process.ts';

const PROGRAM = new URL('sdk-process.ts', import.meta.url).pathname;

export interface SdkClient {
  connect(options: {
    endpoint: string;
    /** A JWT, or the http address to fetch one from whenever the SDK wants one. */
    token: string;
    upload?: string;
    retryMs?: number;
    parameters?: Record<string, string>;
    /** Default HTTP. */
    method?: 'http' | 'websocket';
  }): Promise<void>;
  disconnect(): Promise<void>;
  /** Parameters that are no object are passed on as they are. */
  subscribe(stream: string, parameters?: unknown): Promise<void>;
  query<T = Record<string, unknown>>(sql: string, values?: unknown[]): Promise<T[]>;
  execute(sql: string, values?: unknown[]): Promise<void>;
  status(): Promise<SdkStatus>;
  /** Waits until a query answers what is expected; on timeout says what it answered last. */
  untilQuery(sql: string, expected: (rows: Record<string, unknown>[]) => boolean, timeoutMs?: number): Promise<void>;
  untilSynced(timeoutMs?: number): Promise<void>;
  close(): Promise<void>;
}

export async function startSdkClient(tables: Readonly<Record<string, SdkTable>>): Promise<SdkClient> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-sdk-'));
  const child = fork(PROGRAM, [], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-20_000);
  };
  child.stdout!.on('data', keep);
  child.stderr!.on('data', keep);
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let next = 0;
  child.on('message', ({ id, result, error }: { id: number; result?: unknown; error?: string }) => {
    const call = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) call?.resolve(result);
    else call?.reject(new Error(error));
  });
  child.on('exit', (code) => {
    for (const call of waiting.values()) call.reject(new Error(`The SDK process ended with ${code}:\n${output}`));
    waiting.clear();
  });
  const call = <T>(command: SdkCommand): Promise<T> =>
    new Promise((resolve, reject) => {
      const id = next++;
      waiting.set(id, { resolve: resolve, reject });
      child.send({ id, command });
    });
  await call({ kind: 'open', folder, tables });

  const client: SdkClient = {
    async connect({ endpoint, token, upload, retryMs = 300, parameters = {}, method = 'http' }) {
      await call({ kind: 'connect', endpoint, token, upload: upload ?? null, retryMs, parameters, method });
    },
    disconnect: () => call({ kind: 'disconnect' }),
    subscribe: (stream, parameters) => call({ kind: 'subscribe', stream, parameters: parameters ?? null }),
    query: (sql, values = []) => call({ kind: 'query', sql, values }),
    execute: (sql, values = []) => call({ kind: 'execute', sql, values }),
    status: () => call({ kind: 'status' }),
    async untilQuery(sql, expected, timeoutMs = 30_000) {
      let rows: Record<string, unknown>[] = [];
      const matches = async (): Promise<boolean> => {
        rows = await client.query(sql);
        return expected(rows);
      };
      const state = (): string =>
        `last answer (${rows.length} rows): ${JSON.stringify(rows).slice(0, 2000)}\n${output.slice(-2000)}`;
      await until(`the client to answer ${sql} as expected`, matches, timeoutMs, state);
    },
    async untilSynced(timeoutMs = 30_000) {
      let last: SdkStatus | null = null;
      const synced = async (): Promise<boolean> => (last = await client.status()).hasSynced;
      await until('the first sync', synced, timeoutMs, () => `${JSON.stringify(last)}\n${output.slice(-2000)}`);
    },
    async close() {
      await call({ kind: 'close' }).catch(() => undefined);
      child.disconnect();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return client;
}
