/** A client that comes back, as cheap as it can be: one socket, a prepared request, and a look for the completion in what arrives. */
import { connect, type Socket } from 'node:net';

export interface ReturningClient {
  readonly endpoint: string;
  readonly token: string;
  readonly clientId: string;
  /** Name and position of each bucket that it has. */
  readonly positions: readonly { readonly name: string; readonly after: string }[];
}

const COMPLETE = Buffer.from('checkpoint_complete\0');

/** Resolves, with the open connection, when the service has said that the client is up to date. */
export function comeBack({ endpoint, token, clientId, positions }: ReturningClient): Promise<Socket> {
  const { hostname, port } = new URL(endpoint);
  const body = JSON.stringify({
    buckets: positions,
    include_checksum: true,
    raw_data: true,
    binary_data: true,
    client_id: clientId,
  });
  const request = `POST /sync/stream HTTP/1.1\r\nhost: ${hostname}:${port}\r\nauthorization: Token ${token}\r
accept: application/vnd.powersync.bson-stream;q=0.9,application/x-ndjson;q=0.8\r\nuser-agent: bench\r
content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), noDelay: true }, () => void socket.write(request));
    let received: Buffer = Buffer.alloc(0);
    socket.on('data', (bytes) => {
      if (received === DONE) return;
      received = received.length === 0 ? bytes : Buffer.concat([received, bytes]);
      if (!received.includes(COMPLETE)) return;
      received = DONE;
      resolve(socket);
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`Closed: ${received.toString('latin1').slice(0, 500)}`)));
  });
}

const DONE = Buffer.from('done');
