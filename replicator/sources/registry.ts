import { codedError } from '#core/platform/errors/coded-error.ts';
import type { SourceConnection } from '#core/platform/config/service-config.ts';
import type { Source, SourceDependencies } from './contract.ts';
import { postgresSource } from './postgres/source.ts';

/** Opens the source of a connection; connects when first used. Kinds without a module give PSYNC_S0001. */
export function openSource(connection: SourceConnection, dependencies: SourceDependencies): Source {
  switch (connection.type) {
    case 'postgresql':
      return postgresSource.open(connection, dependencies);
    default:
      throw notImplemented(connection.type);
  }
}

/** Schema of tables that the sync config names without one. */
export function defaultSchemaOf(connection: SourceConnection): string {
  switch (connection.type) {
    case 'postgresql':
      return postgresSource.defaultSchema(connection);
    default:
      throw notImplemented(connection.type);
  }
}

function notImplemented(type: string): Error {
  return codedError(
    'PSYNC_S0001',
    `This version has no module for sources of type ${type}. Use a postgresql connection.`,
  );
}
