/** The connections of the protocol client: HTTP, and RSocket over WebSocket (S-507, S-508). */
import { request as httpRequest, type Agent, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { WebSocket } from 'ws';

/** The service refused a session or a request. `status` is 0 where there is none. */
export class RefusedError extends Error {
  readonly status: number;
  readonly body: string;
  constructor(status: number, body: string) {
    super(`HTTP ${status}: ${body}`);
    this.name = 'RefusedError';
    this.status = status;
    this.body = body;
  }
}

export interface StreamRequest {
  /** `http://host:port` */
  readonly endpoint: string;
  readonly token: string;
  readonly body: string;
  readonly accept: string;
  readonly acceptEncoding: string | undefined;
  readonly agent: Agent | undefined;
  /** WebSocket: payloads that may be under way. */
  readonly credit: number;
}
export interface OpenStream {
  readonly response: IncomingMessage;
  /** The lines, decompressed. */
  readonly lines: Readable;
  readonly socket: Socket;
}
export interface Transport {
  /** Rejects with RefusedError. `destroy` cuts the connection at any time. */
  open(request: StreamRequest): { readonly opened: Promise<OpenStream>; destroy(): void };
}

export const http: Transport = {
  open({ endpoint, token, body, accept, acceptEncoding, agent }) {
    const request = httpRequest(`${endpoint}/sync/stream`, {
      method: 'POST',
      agent: agent ?? false,
      headers: {
        authorization: `Token ${token}`,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        accept,
        ...(acceptEncoding === undefined ? {} : { 'accept-encoding': acceptEncoding }),
      },
    });
    const opened = new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', resolve);
      request.once('error', reject);
      request.end(body);
    }).then(async (response): Promise<OpenStream> => {
      request.on('error', () => undefined);
      if (response.statusCode !== 200) throw new RefusedError(response.statusCode ?? 0, await textOf(response));
      return { response, lines: decompressed(response), socket: response.socket };
    });
    return { opened, destroy: () => void request.destroy() };
  },
};

function decompressed(response: IncomingMessage): Readable {
  const encoding = response.headers['content-encoding'];
  if (encoding === undefined) return response;
  const stream = encoding === 'gzip' ? createGunzip({ chunkSize: 256 * 1024 }) : createZstdDecompress();
  response.on('error', (error) => stream.destroy(error));
  return response.pipe(stream);
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  response.setEncoding('utf8');
  for await (const part of response) text += part as string;
  return text;
}

/** What current clients announce (S-594). */
const MIME = 'application/json';
const [SETUP, KEEPALIVE, REQUEST_STREAM, REQUEST_N, PAYLOAD, ERROR] = [0x01, 0x03, 0x06, 0x08, 0x0a, 0x0b];
const METADATA = 0x100;
const KEEPALIVE_MS = 20_000;

export const webSocket: Transport = {
  open({ endpoint, token, body, credit, acceptEncoding }) {
    const connection = new WebSocket(`${endpoint.replace(/^http/, 'ws')}/sync/stream`, {
      perMessageDeflate: acceptEncoding !== undefined,
    });
    let response: IncomingMessage | null = null;
    let keepalive: NodeJS.Timeout | undefined;
    connection.once('upgrade', (upgraded) => void (response = upgraded));
    const opened = new Promise<OpenStream>((resolve, reject) => {
      let received = 0;
      let isComplete = false;
      const lines = new Readable({ read: () => connection.resume(), highWaterMark: 1024 * 1024 });
      // of a connection that is refused before anybody listens
      lines.on('error', () => undefined);
      const fail = (error: Error): void => {
        reject(error);
        lines.destroy(error);
      };
      connection.once('open', () => {
        connection.send(setup(token));
        connection.send(requestStream(credit, body));
        keepalive = setInterval(() => connection.send(frame(0, KEEPALIVE, 0x80, Buffer.alloc(8))), KEEPALIVE_MS);
      });
      connection.on('message', (message: Buffer) => {
        const type = message.readUInt16BE(4) >> 10;
        if (type === ERROR) return fail(new RefusedError(0, message.subarray(10).toString()));
        if (type !== PAYLOAD) return;
        if ((message.readUInt16BE(4) & 0x40) !== 0) {
          isComplete = true;
          lines.push(null);
          connection.close();
        } else {
          // so many may be under way again
          if (++received * 2 >= credit) {
            connection.send(frame(1, REQUEST_N, 0, uint32(received)));
            received = 0;
          }
          if (!lines.push(message.subarray(6))) connection.pause();
        }
        resolve({ response: response!, lines, socket: response!.socket });
      });
      connection.once('unexpected-response', (_request, refused: IncomingMessage) => {
        void textOf(refused).then((text) => fail(new RefusedError(refused.statusCode ?? 0, text)));
      });
      connection.on('error', fail);
      connection.once('close', () => {
        clearInterval(keepalive);
        if (!isComplete) fail(Object.assign(new Error('aborted'), { code: 'ECONNRESET' }));
      });
    });
    return { opened, destroy: () => connection.terminate() };
  },
};

function frame(stream: number, type: number, flags: number, rest: Buffer): Buffer {
  const header = Buffer.alloc(6);
  header.writeUInt32BE(stream, 0);
  header.writeUInt16BE((type << 10) | flags, 4);
  return Buffer.concat([header, rest]);
}
function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
function withLength(text: string, lengthBytes: number): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(lengthBytes);
  length.writeUIntBE(bytes.length, 0, lengthBytes);
  return Buffer.concat([length, bytes]);
}
function setup(token: string): Buffer {
  const metadata = JSON.stringify({ token: `Token ${token}`, user_agent: 'millrace-test' });
  return frame(
    0,
    SETUP,
    METADATA,
    Buffer.concat([
      Buffer.of(0, 1, 0, 0),
      uint32(KEEPALIVE_MS),
      uint32(90_000),
      withLength(MIME, 1),
      withLength(MIME, 1),
      withLength(metadata, 3),
    ]),
  );
}
function requestStream(credit: number, body: string): Buffer {
  const metadata = withLength(JSON.stringify({ path: '/sync/stream' }), 3);
  return frame(1, REQUEST_STREAM, METADATA, Buffer.concat([uint32(credit), metadata, Buffer.from(body)]));
}
