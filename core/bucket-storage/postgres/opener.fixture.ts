/** Opens Postgres storage for tests, also in child processes (conformance/factory.ts). */
import { type Clock, realClock } from '#core/platform/clock.ts';
import type { OpenRequest } from '../conformance/factory.ts';
import type { BucketStorage } from '../contract.ts';
import { openPostgresStorage } from './storage.ts';

const silent = { info: () => undefined, warn: () => undefined };

export function openAt(request: OpenRequest, clock: Clock): Promise<BucketStorage> {
  const url = new URL(request.url);
  const { host, port } = request.address ?? { host: url.hostname, port: Number(url.port) };
  const pool = {
    host,
    port,
    user: url.username,
    password: decodeURIComponent(url.password),
    database: url.pathname.slice(1),
    max: 4,
  };
  return openPostgresStorage({ pool, log: silent, clock });
}

export const open = (request: OpenRequest): Promise<BucketStorage> => openAt(request, realClock);
