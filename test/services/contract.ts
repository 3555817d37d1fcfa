/**
 * The seam between tests and the servers they need.
 *
 * Shared servers (`postgres()`, `mongodb()`, `redis()`, `mysql()`) serve a whole test run: a test takes a database or a key prefix
 * of its own and never touches the rest. Private servers (`startPostgres()`, …) belong to one test, which may stop, kill
 * and start them.
 *
 * Where a server comes from, in this order: the address in an environment variable (shared servers only), a container
 * when a Docker daemon answers, a program found on this machine, a program installed from a package registry.
 */

/** Environment variables that name a running server; set by `npm test` for its workers, or by whoever runs the tests. */
export const environmentNames = {
  postgres: 'MILLRACE_TEST_POSTGRES_URL',
  mongodb: 'MILLRACE_TEST_MONGODB_URL',
  redis: 'MILLRACE_TEST_REDIS_URL',
  mysql: 'MILLRACE_TEST_MYSQL_URL',
  chromium: 'MILLRACE_TEST_CHROMIUM',
} as const;

/** Set to `off` to never use a Docker daemon, also when one answers. */
export const dockerSwitch = 'MILLRACE_TEST_DOCKER';

export type Origin = 'environment' | 'docker' | 'local';

/** A server that a test owns. Port and data survive `stop`, `kill` and `start`. All calls are idempotent. */
export type Lifecycle = {
  /** Runs it again on the same port with the same data; resolves once it accepts connections. */
  start(): Promise<void>;
  /** Orderly shutdown; open connections are ended by the server. Resolves when the process is gone. */
  stop(): Promise<void>;
  /** SIGKILL, as in a crash. Resolves when the server and all its children are gone. */
  kill(): Promise<void>;
  /** Stops it for good and removes its data. */
  close(): Promise<void>;
  /** The end of what the server printed, for messages of failed tests. */
  log(): string;
  [Symbol.asyncDispose](): Promise<void>;
};

/** A database of one test. `drop` ends whoever is still connected, and removes its replication slots. */
export type TestDatabase = {
  readonly url: string;
  readonly name: string;
  drop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/**
 * Postgres with `wal_level=logical`, 60 replication slots and WAL senders, 300 connections, UTC, UTF-8.
 * The user in `url` is a superuser, its database is `postgres`.
 */
export type Postgres = {
  readonly origin: Origin;
  readonly url: string;
  /** Major version, for example 18. */
  readonly version: number;
  createDatabase(): Promise<TestDatabase>;
};

/** MongoDB as a replica set of one, primary elected: transactions and change streams work. */
export type Mongodb = {
  readonly origin: Origin;
  readonly url: string;
  /** A name and address that no other test uses; MongoDB makes the database with the first write. */
  createDatabase(): Promise<TestDatabase>;
};

export type Redis = {
  readonly origin: Origin;
  readonly url: string;
  /** A key prefix that no other test uses; `drop` deletes all keys under it. */
  createPrefix(): RedisPrefix;
};

/** MySQL with a row binlog and GTIDs, as a source needs it. The user in `url` may do everything. */
export type Mysql = {
  readonly origin: Origin;
  readonly url: string;
  createDatabase(): Promise<TestDatabase>;
};

export type RedisPrefix = {
  readonly url: string;
  /** Ends in `:`. */
  readonly prefix: string;
  drop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** What `playwright-core` needs: `chromium.launch({ executablePath, args })`. */
export type Chromium = {
  readonly executablePath: string;
  readonly args: string[];
};

export type PostgresOptions = {
  /** Major version; default 18, the one from npm. 15 comes from Debian. */
  version?: number;
  /** `false` turns fsync, full page writes and synchronous commit off: faster, loses data with the machine. Default true. */
  durable?: boolean;
  /** Further server settings, for example `{ max_slot_wal_keep_size: '1MB' }`. */
  settings?: Record<string, string>;
  /** Files to put into the data folder before the first start, readable by the server only: keys, `pg_hba.conf`. */
  files?: Record<string, string>;
};

export type MongodbOptions = {
  /** Given as `--setParameter name=value`. */
  parameters?: Record<string, string>;
  /** `true`: no replica set, to see how that is refused. Default false. */
  standalone?: boolean;
};

export type RedisOptions = {
  /** `true` writes an append-only file with every command, so that data survive `kill`. Default false: memory only. */
  durable?: boolean;
  /** Further arguments, for example `['--maxmemory', '10mb']`. */
  arguments?: string[];
};

export type MysqlOptions = {
  /** Further arguments, for example `['--binlog-row-image=MINIMAL']`. */
  arguments?: string[];
};

export type PrivatePostgres = Postgres & Lifecycle;
export type PrivateMongodb = Mongodb & Lifecycle;
export type PrivateRedis = Redis & Lifecycle;
export type PrivateMysql = Mysql & Lifecycle;

/** The API of Kubernetes without controllers (see kube-apiserver.ts). */
export type PrivateKubeApiserver = Lifecycle & {
  readonly url: string;
  /** A kubeconfig file, as text, of a user who may do everything. */
  readonly kubeconfig: string;
};
