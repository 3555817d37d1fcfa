/** How the conformance suite opens MongoDB storage, in this process and in children. */
import { mongodb } from '#test/services/mongodb.ts';
import { type Clock, realClock } from '../../platform/clock.ts';
import type { OpenRequest, StorageFactory } from '../conformance/factory.ts';
import type { BucketStorage } from '../contract.ts';
import { openMongodbStorage } from './storage.ts';

const silent = { info: () => undefined, warn: () => undefined };

export function open({ url, address }: OpenRequest, clock: Clock = realClock): Promise<BucketStorage> {
  const uri = new URL(url);
  if (address !== undefined) uri.host = `${address.host}:${address.port}`;
  return openMongodbStorage({ uri: uri.href, maxPoolSize: 8, log: silent, clock });
}

export const mongodbFactory: StorageFactory = {
  name: 'mongodb',
  async createInstance() {
    const database = await (await mongodb()).createDatabase();
    const { hostname, port } = new URL(database.url);
    return { url: database.url, address: { host: hostname, port: Number(port) }, drop: () => database.drop() };
  },
  open,
  openerModule: import.meta.url,
};
