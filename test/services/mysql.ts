import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createConnection } from 'mysql2/promise';
import {
  environmentNames,
  type Mysql,
  type MysqlOptions,
  type Origin,
  type PrivateMysql,
  type TestDatabase,
} from './contract.ts';
import { startDockerServer } from './docker-server.ts';
import { type LocalRecipe, startLocalServer } from './local-server.ts';
import { type MysqlProgram, mysqlProgram } from './mysql-program.ts';

const run = promisify(execFile);
let shared: Promise<Mysql> | undefined;

/** One MySQL for all tests of this process; it is started when the first one asks. */
export function mysql(): Promise<Mysql> {
  shared ??= sharedMysql();
  return shared;
}

async function sharedMysql(): Promise<Mysql> {
  const url = process.env[environmentNames.mysql];
  return url === undefined || url === '' ? startMysql() : describe('environment', url);
}

const forReplication = [
  ...['--gtid-mode=ON', '--enforce-gtid-consistency=ON', '--log-bin=binlog', '--server-id=7'],
  // Small: tests bring little data.
  ...['--innodb-buffer-pool-size=64M', '--performance-schema=OFF', '--mysqlx=OFF'],
];

/** A MySQL of the test's own, to stop, kill, and start again. */
export async function startMysql(options: MysqlOptions = {}): Promise<PrivateMysql> {
  const words = [...forReplication, ...(options.arguments ?? [])];
  const docker = await startDockerServer({
    name: 'MySQL',
    image: 'mysql:8.4',
    command: (port) => ['mysqld', `--port=${port}`, ...words],
    environment: { MYSQL_ALLOW_EMPTY_PASSWORD: 'yes', MYSQL_ROOT_HOST: '%' },
  });
  const server = docker ?? {
    host: '127.0.0.1',
    ...(await startLocalServer(localRecipe(await mysqlProgram(), words))),
  };
  const url = `mysql://root@${server.host}:${server.port}/`;
  return { ...server, ...describe(docker === undefined ? 'local' : 'docker', url) };
}

function localRecipe({ command, lead }: MysqlProgram, words: string[]): LocalRecipe {
  // Who runs the tests, root too.
  const user = process.getuid?.() === 0 ? ['--user=root'] : [];
  const dataWords = (folder: string) => [...user, `--datadir=${join(folder, 'data')}`];
  return {
    name: 'mysql',
    command,
    arguments: (port, folder) => [
      ...lead,
      ...dataWords(folder),
      ...[`--port=${port}`, '--bind-address=127.0.0.1', `--socket=${join(folder, 'mysql.sock')}`],
      ...[`--pid-file=${join(folder, 'mysqld.pid')}`, '--secure-file-priv=NULL'],
      ...words,
    ],
    prepare: async (folder) => {
      await run(command, [...lead, ...dataWords(folder), '--initialize-insecure'], { timeout: 120_000 });
    },
    readyLine: /ready for connections.*port: [1-9]/,
    stopSignal: 'SIGTERM',
  };
}

function describe(origin: Origin, url: string): Mysql {
  return { origin, url, createDatabase: () => database(url) };
}

async function database(serverUrl: string): Promise<TestDatabase> {
  const name = `t_${process.pid}_${randomBytes(6).toString('hex')}`;
  const statement = async (text: string) => {
    const connection = await createConnection(serverUrl);
    try {
      await connection.query(text);
    } finally {
      await connection.end();
    }
  };
  await statement(`CREATE DATABASE ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const drop = () => statement(`DROP DATABASE IF EXISTS ${name}`);
  return { url: url.href, name, drop, [Symbol.asyncDispose]: drop };
}
