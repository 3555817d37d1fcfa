import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { codedError } from './errors/coded-error.ts';

/** What a path answers. */
export interface EndpointAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export interface HttpEndpointOptions {
  /** 0 picks a free one. */
  readonly port: number;
  /** Default: all addresses, IPv4 and IPv6. */
  readonly host?: string;
  /** By exact path; GET and HEAD only. What they throw is answered with status 500. */
  readonly routes: Readonly<Record<string, () => EndpointAnswer | Promise<EndpointAnswer>>>;
}

/** A running endpoint. */
export interface HttpEndpoint {
  readonly port: number;
  /** Ends open connections and resolves when the port is free. */
  close(): Promise<void>;
}

/** More scrapers and probes at once are turned away. */
const MAX_CONNECTIONS = 50;

/**
 * A small server for metrics and probes of processes that have no API (O-166, O-170). It needs no token, takes no input
 * but the path, and must not be reachable from outside the cluster.
 *
 * Rejects with `PSYNC_S0110` when the port cannot be opened.
 */
export async function startHttpEndpoint(options: HttpEndpointOptions): Promise<HttpEndpoint> {
  const { port, host, routes } = options;
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5000, keepAliveTimeout: 5000 });
  server.maxConnections = MAX_CONNECTIONS;
  server.on('request', (request, response) => {
    const path = (request.url ?? '').split('?', 1)[0]!;
    const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    if (route === undefined || !isRead) {
      send(response, { status: route === undefined ? 404 : 405, contentType: 'text/plain', body: '' });
      return;
    }
    Promise.resolve()
      .then(route)
      .then(
        (answer) => send(response, answer),
        () => send(response, { status: 500, contentType: 'text/plain', body: '' }),
      );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const message = `Cannot listen on port ${port} (${cause.code}): free it, or configure another one`;
      reject(codedError('PSYNC_S0110', message, { cause }));
    });
    server.listen({ port, ...(host === undefined ? {} : { host }) }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function send(response: ServerResponse, { status, contentType, body }: EndpointAnswer): void {
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) }).end(body);
}
