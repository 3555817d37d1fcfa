import { chromium } from './chromium.ts';
import { environmentNames } from './contract.ts';
import { startMongodb } from './mongodb.ts';
import { mysqlProgram } from './mysql-program.ts';
import { dockerAnswers } from './docker-server.ts';
import { postgresPrograms } from './postgres-programs.ts';
import { startPostgres } from './postgres.ts';
import { startRedis } from './redis.ts';

export type RunningServices = {
  /** Stops what was started here, and removes its data. */
  stop(): Promise<void>;
};

/**
 * Starts one server of each kind for a whole test run, where the environment does not name one already, and puts the
 * addresses into the environment, from which test workers inherit them. A server that cannot be had is reported here;
 * the tests that need it fail with the reason.
 */
export async function startServices(): Promise<RunningServices> {
  const closers: (() => Promise<void>)[] = [];
  const provide = async (kind: keyof typeof environmentNames, start: () => Promise<string>) => {
    const name = environmentNames[kind];
    if ((process.env[name] ?? '') !== '') return;
    try {
      process.env[name] = await start();
    } catch (error) {
      console.error(`No ${kind} for the tests: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  const started = async (starting: Promise<{ url: string; close(): Promise<void> }>) => {
    const server = await starting;
    closers.push(server.close);
    return server.url;
  };
  await Promise.all([
    provide('postgres', () => started(startPostgres())),
    provide('mongodb', () => started(startMongodb())),
    provide('redis', () => started(startRedis())),
    provide('chromium', async () => (await chromium()).executablePath),
    // Started by the tests that want it; installed here, where nobody's time runs out.
    installOlderPostgres(),
    installMysql(),
  ]);
  return { stop: async () => void (await Promise.all(closers.map((close) => close()))) };
}

async function installOlderPostgres(): Promise<void> {
  if (await dockerAnswers()) return;
  await postgresPrograms(15).catch((error: unknown) => {
    console.error(`No older Postgres for the tests: ${error instanceof Error ? error.message : String(error)}`);
  });
}

async function installMysql(): Promise<void> {
  if ((process.env[environmentNames.mysql] ?? '') !== '' || (await dockerAnswers())) return;
  await mysqlProgram().catch((error: unknown) => {
    console.error(`No mysql for the tests: ${error instanceof Error ? error.message : String(error)}`);
  });
}
