/** A TCP proxy in front of a storage server, that stops traffic at a chosen message: for faults between two storage calls. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Address } from './factory.ts';

/**
 * - pause: from the n-th message on, nothing passes in either direction until `release`: a process that is stopped.
 * - cut: the n-th message does not reach the server, and its connection breaks: a crash before the call.
 * - lose-reply: the n-th message reaches the server, the connection breaks before the answer: a crash after the call.
 */
export type Fault = 'pause' | 'cut' | 'lose-reply';

export interface Gate {
  readonly address: Address;
  /** Counts messages of clients from now on; the fault happens at the n-th (from 1). */
  arm(fault: Fault, at: number): void;
  /** Whether the armed fault happened. */
  readonly tripped: boolean;
  /** Resolves when the armed fault happens. */
  whenTripped(): Promise<void>;
  /** Lets traffic pass again, beginning with what was held back. Ends the armed fault. */
  release(): void;
  /** Breaks every connection. */
  cutAll(): void;
  close(): Promise<void>;
}

type Link = { readonly client: Socket; readonly server: Socket; readonly held: (() => void)[]; dropReply: boolean };

/** Opens a gate on a free port of 127.0.0.1. */
export async function openGate(target: Address): Promise<Gate> {
  const links = new Set<Link>();
  let armed: { fault: Fault; left: number; trip: () => void } | undefined;
  let paused = false;
  let tripped = false;
  let trippedPromise = Promise.resolve();

  const breakLink = (link: Link): void => {
    link.client.destroy();
    link.server.destroy();
    links.delete(link);
  };
  const trip = (link: Link): void => {
    tripped = true;
    const { fault, trip: resolve } = armed!;
    armed = undefined;
    if (fault === 'pause') paused = true;
    if (fault === 'cut') breakLink(link);
    if (fault === 'lose-reply') link.dropReply = true;
    resolve();
  };
  const pass = (link: Link, forward: () => void): void => {
    if (paused) link.held.push(forward);
    else forward();
  };

  const listener = createServer((client) => {
    const server = connect(target.port, target.host);
    const link: Link = { client, server, held: [], dropReply: false };
    links.add(link);
    client.setNoDelay(true);
    server.setNoDelay(true);
    client.on('data', (data) => {
      if (armed !== undefined && --armed.left === 0) trip(link);
      pass(link, () => server.write(data));
    });
    server.on('data', (data) => {
      if (link.dropReply) breakLink(link);
      else pass(link, () => client.write(data));
    });
    for (const socket of [client, server]) {
      socket.on('error', () => breakLink(link));
      socket.on('close', () => pass(link, () => breakLink(link)));
    }
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  return {
    address: { host: '127.0.0.1', port },
    arm(fault, at) {
      tripped = false;
      trippedPromise = new Promise((resolve) => (armed = { fault, left: at, trip: resolve }));
    },
    get tripped() {
      return tripped;
    },
    whenTripped: () => trippedPromise,
    release() {
      armed = undefined;
      paused = false;
      for (const link of links) for (const forward of link.held.splice(0)) forward();
    },
    cutAll() {
      for (const link of links) breakLink(link);
    },
    async close() {
      armed = undefined;
      for (const link of links) breakLink(link);
      listener.close();
      await once(listener, 'close');
    },
  };
}
