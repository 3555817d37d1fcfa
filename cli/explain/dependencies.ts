/** What an explanation asks, in a process that has a service configuration. */
import type { SessionView } from '#api-worker/session/report.ts';
import type { BucketStorage } from '#core/bucket-storage/contract.ts';
import type { Clock } from '#core/platform/clock.ts';
import type { ServiceConfig, SourceConnection } from '#core/platform/config/service-config.ts';
import type { Log } from '#core/platform/log.ts';
import { askInTime, openSourceToAsk } from '../ask-source.ts';
import { namedSources } from './choose-table.ts';
import type { ExplainDependencies } from './explain.ts';
import type { AskSource } from './source-row.ts';

export function explainDependencies(options: {
  readonly config: ServiceConfig;
  readonly storage: BucketStorage;
  readonly sessions: ((userId: string, limit: number) => readonly SessionView[]) | null;
  readonly log: Log;
  readonly clock: Clock;
}): ExplainDependencies {
  const { config, storage, sessions, log, clock } = options;
  const { connections } = config.replication;
  const { maxBucketsPerConnection, maxParameterQueryResults } = config.api;
  return {
    storage,
    sources: namedSources(connections),
    askSource: (tag) =>
      askConnection(
        connections.find((connection) => connection.tag === tag),
        log,
        clock,
      ),
    limits: { maxBuckets: maxBucketsPerConnection, maxParameterResults: maxParameterQueryResults },
    sessions,
  };
}

function askConnection(connection: SourceConnection | undefined, log: Log, clock: Clock): AskSource {
  if (connection === undefined) return null;
  return async (query, plan) => {
    const source = openSourceToAsk(connection, log, false, plan.valueOptions);
    return askInTime(source, clock, async ({ findRows }) => {
      if (findRows === undefined) throw new Error(`Sources of type ${connection.type} cannot be asked for a row yet.`);
      return findRows(query);
    });
  };
}
