/** The connection to MongoDB, and what it has to be: a replica set of 6.0 or newer (O-70). */
import { MongoClient, type MongoClientOptions } from 'mongodb';
import { codedError } from '../../platform/errors/coded-error.ts';
import { storageError } from './failure.ts';

export interface ConnectionOptions {
  readonly uri: string;
  /** These three go before what the uri says (O-39). */
  readonly username?: string;
  readonly password?: string;
  readonly database?: string;
  /** O-41. */
  readonly maxPoolSize: number;
}

/** For a primary, and for a connection; the uri may say otherwise. */
const WAIT_MS = 10_000;
/** MongoDB 6.0. */
const LEAST_WIRE_VERSION = 17;

export interface Connection {
  readonly client: MongoClient;
  readonly database: string;
}

/** Throws PSYNC_S1105, S1109, S2401, S2402; messages hold no part of the login. */
export async function connect(options: ConnectionOptions): Promise<Connection> {
  const client = createClient(options);
  try {
    const database = options.database ?? databaseOf(options.uri);
    if (database === '') throw noDatabase();
    await client.connect();
    checkServer(await client.db('admin').command({ hello: 1 }));
    return { client, database };
  } catch (error) {
    await client.close().catch(() => undefined);
    throw storageError(error);
  }
}

function createClient({ uri, username, password, maxPoolSize }: ConnectionOptions): MongoClient {
  const settings: MongoClientOptions = {
    appName: 'millrace-storage',
    maxPoolSize,
    readPreference: 'primary',
    ignoreUndefined: true,
    ...(uri.includes('serverSelectionTimeoutMS') ? {} : { serverSelectionTimeoutMS: WAIT_MS }),
    ...(uri.includes('connectTimeoutMS') ? {} : { connectTimeoutMS: WAIT_MS }),
    ...(username === undefined ? {} : { auth: { username, password: password ?? '' } }),
  };
  try {
    return new MongoClient(uri, settings);
  } catch {
    throw codedError(
      'PSYNC_S1109',
      'The uri of bucket storage is not a MongoDB URI. Check storage.uri; special characters of the password are percent-encoded.',
    );
  }
}

/** Of the path of the uri; empty when it has none. */
const databaseOf = (uri: string): string => decodeURIComponent(/^[^/]*\/\/[^/]*\/([^?]*)/.exec(uri)?.[1] ?? '');

function noDatabase(): Error {
  return codedError(
    'PSYNC_S1105',
    'Bucket storage has no database. Add it to the path of storage.uri, or as storage.database.',
  );
}

function checkServer(hello: Record<string, unknown>): void {
  if (hello['setName'] === undefined) {
    throw codedError(
      'PSYNC_S2401',
      'MongoDB for bucket storage must be a replica set: this server is not a member of one. Start mongod with --replSet and run rs.initiate(); one node is enough for development.',
    );
  }
  if (Number(hello['maxWireVersion']) < LEAST_WIRE_VERSION) {
    throw codedError('PSYNC_S2404', 'MongoDB for bucket storage must be version 6.0 or newer. Upgrade the server.');
  }
}
