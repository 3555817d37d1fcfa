/** The service inside `millrace dev`: the same parts as `start -r unified`, started and stopped by the caller. */
import type { FastifyInstance } from 'fastify';
import type { ServiceConfig } from '#core/platform/config/service-config.ts';
import { createLogger } from '#core/platform/logging.ts';
import type { Part } from '#core/platform/lifecycle.ts';
import type { Deployment } from '../deploy.ts';
import { compose } from '../start.ts';

const DRAIN_MS = 500;

export interface RunningService {
  /** What to tell somebody who waits. */
  progress(): { readonly ready: boolean; readonly message: string };
  deploy(text: string): Promise<Deployment>;
  stop(): Promise<void>;
}

export async function runDevService(options: { readonly config: ServiceConfig; readonly extraRoutes: (server: FastifyInstance) => void }): Promise<RunningService> {
  const log = createLogger({ ...options.config.logging });
  const composed = compose({ ...options, role: 'unified', log });
  const stop = new AbortController();
  const started: Part[] = [];
  const stopAll = async (): Promise<void> => {
    stop.abort();
    await Promise.all(started.map((part) => part.drain?.(DRAIN_MS)));
    for (const part of started.toReversed()) await part.stop?.();
    composed.close();
  };
  try {
    for (const part of composed.parts) {
      await part.start({ signal: stop.signal, fail: (error) => log.error({ error, part: part.name }, 'A part failed') });
      started.push(part);
    }
  } catch (error) {
    await stopAll();
    throw error;
  }
  composed.started();
  return { progress: () => progressOf(composed.reports()), deploy: composed.deploy, stop: stopAll };
}

function progressOf(reports: ReturnType<ReturnType<typeof compose>['reports']>): { ready: boolean; message: string } {
  const error = reports.find((report) => report.error)?.error;
  const streams = reports.flatMap((report) => report.streams);
  const copying = streams.find((stream) => stream.state === 'copying');
  if (streams.some((stream) => stream.state === 'streaming')) return { ready: true, message: 'Ready' };
  if (copying) return { ready: false, message: `Copying tables: ${copying.rowsCopied} of about ${Math.max(copying.rowsEstimated, copying.rowsCopied)} rows` };
  return { ready: false, message: error ? `Waiting for the database: ${error.message}` : 'Preparing replication …' };
}
