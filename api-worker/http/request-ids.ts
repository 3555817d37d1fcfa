import { randomBytes } from 'node:crypto';

/** Ids of requests and sessions in logs (O-190): unique among the processes of an instance, short, and in order within one. */
export function createRequestIds(): () => string {
  const process = randomBytes(4).toString('hex');
  let requests = 0;
  return () => `${process}-${(++requests).toString(36)}`;
}
