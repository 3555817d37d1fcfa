import { realClock } from '#core/platform/clock.ts';
import { postgres } from '#test/services/postgres.ts';
import type { StorageFactory } from '../conformance/factory.ts';
import { openAt } from './opener.fixture.ts';

/** `MILLRACE_TEST_POSTGRES_VERSION=15` runs it on that version. */
const version = process.env['MILLRACE_TEST_POSTGRES_VERSION'];

export const postgresFactory: StorageFactory = {
  name: 'postgresql',
  async createInstance() {
    const server = await postgres(version === undefined ? {} : { version: Number(version) });
    const database = await server.createDatabase();
    const { hostname, port } = new URL(database.url);
    return { url: database.url, address: { host: hostname, port: Number(port) }, drop: () => database.drop() };
  },
  open: (request, clock = realClock) => openAt(request, clock),
  openerModule: new URL('opener.fixture.ts', import.meta.url).href,
};
