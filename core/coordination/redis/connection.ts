import { Redis, type RedisOptions } from 'ioredis';
import type { RedisConfig } from '#core/platform/config/service-config.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { CoordinationEnvironment } from '../environment.ts';

/** One connection that comes back by itself, for ever. */
export interface Connection {
  readonly client: Redis;
  isReady(): boolean;
  /** True once commands can be sent; false when that is not so after `ms` or after `close`. */
  whenReady(ms: number): Promise<boolean>;
  /** Called each time the connection was (re)established. Returns a function that takes the listener away. */
  onReady(listener: () => void): () => void;
  close(): void;
}

/** First wait and longest wait before connecting again; hand-over must not wait long for a Redis that is back. */
const RECONNECT_MS = { first: 25, longest: 500 };
const CONNECT_TIMEOUT_MS = 3000;
/** How long a closed connection may take to say goodbye; ioredis keeps the process alive for it even when there is none. */
const DISCONNECT_TIMEOUT_MS = 200;
/**
 * A command without any answer for this long: the connection is dead (a cut network sends no reset). Below a third of the
 * usual lease of 3 s, so that a holder can still renew on a new connection.
 */
const SILENCE_MS = 900;

export type ConnectionRole = 'commands' | 'messages' | 'workers';

/**
 * Commands fail at once while Redis is away, never queue up and are never sent twice: each caller has its own answer.
 * Only bullmq's workers (`workers`) need the opposite: they wait for Redis and send again.
 */
function optionsFor(role: ConnectionRole, random: () => number) {
  const waits = role === 'workers';
  return {
    connectionName: `millrace:${role}`,
    connectTimeout: CONNECT_TIMEOUT_MS,
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    retryStrategy: (attempt: number) => {
      const bound = Math.min(RECONNECT_MS.first * 2 ** Math.min(attempt - 1, 10), RECONNECT_MS.longest);
      return bound / 2 + (random() * bound) / 2;
    },
    // A primary that became a replica refuses writes for ever; the address leads to the new primary.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
    maxRetriesPerRequest: waits ? null : 0,
    enableOfflineQueue: waits,
    autoResendUnfulfilledCommands: waits,
    autoResubscribe: false,
    // A worker's connection blocks on purpose.
    ...(waits ? {} : { socketTimeout: SILENCE_MS }),
  } satisfies RedisOptions;
}

/** Opens a connection in the background. Throws PSYNC_S3224 when the address cannot be one of Redis. */
export function connect(config: RedisConfig, role: ConnectionRole, environment: CoordinationEnvironment): Connection {
  const { log, clock, random } = environment;
  const { address, uri } = checkedAddress(config.uri);
  const client = new Redis(uri, optionsFor(role, random));
  const listeners = new Set<() => void>();
  const closed = new AbortController();
  let outage = false;

  // Only the message: ioredis hangs the arguments of the failed command on the error.
  client.on('error', (error: Error) => {
    if (outage) return;
    outage = true;
    log.warn(
      { error_code: 'PSYNC_S2502', redis: address, connection: role, reason: error.message },
      'Redis is not reachable',
    );
  });
  client.on('ready', () => {
    if (outage) log.info({ redis: address, connection: role }, 'Redis is reachable again');
    outage = false;
    for (const listener of listeners) listener();
  });

  const onReady = (listener: () => void): (() => void) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  };
  return {
    client,
    isReady: () => client.status === 'ready',
    onReady,
    whenReady: (ms) =>
      new Promise((resolve) => {
        if (client.status === 'ready' || closed.signal.aborted) return resolve(!closed.signal.aborted);
        const answer = (ready: boolean): void => {
          timer.cancel();
          forget();
          closed.signal.removeEventListener('abort', onClose);
          resolve(ready);
        };
        const onClose = (): void => answer(false);
        const timer = clock.setTimer(ms, onClose, { keepAlive: true });
        const forget = onReady(() => answer(true));
        closed.signal.addEventListener('abort', onClose, { once: true });
      }),
    close: () => {
      closed.abort();
      listeners.clear();
      client.disconnect();
    },
  };
}

/** The address without credentials, for logs. */
function checkedAddress(uri: string): { address: string; uri: string } {
  const url = URL.parse(uri);
  if (url === null || (url.protocol !== 'redis:' && url.protocol !== 'rediss:') || url.hostname === '') {
    throw codedError(
      'PSYNC_S3224',
      'redis.uri is not the address of a Redis server. Give redis://host:6379, or rediss:// with TLS; percent-encode special characters in the password.',
    );
  }
  return { address: url.host, uri };
}

/** The channel `name` of an instance. The database's number is part of it, because Redis keeps messages of all databases together. */
export function channelOf({ keyPrefix, uri }: RedisConfig, name: string): string {
  const number = Number(URL.parse(uri)?.pathname.slice(1) ?? '');
  const database = Number.isInteger(number) && number >= 0 ? number : 0;
  return `${keyPrefix}${database}:${name}`;
}
