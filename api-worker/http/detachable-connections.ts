/**
 * Connections that leave the HTTP server when a stream begins on them. Node keeps a parser (10 KB), the request and the response of a connection
 * as long as the response lasts, which for a sync stream is hours: half of what an idle client costs. So the server does not see the socket but a
 * stream in front of it, which can be closed alone. That it takes any duplex stream is documented (`http.Server`, event "connection").
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

export interface DetachableConnections {
  /**
   * Takes a connection from the HTTP server, for which it is closed: what it had to answer there is dropped. Returns its socket, from which the caller
   * gets all that was not read yet, if it listens before anything else happens. After an error it closes, like any.
   */
  detach(connection: Duplex): Socket;
  /** Cuts the detached ones; `http.Server.closeAllConnections` does the others. */
  closeDetached(): void;
}

/** For all connections that `server` accepts from now on. */
export function detachConnectionsOf(server: Server): DetachableConnections {
  const detached = new Set<Socket>();
  const [serve] = server.listeners('connection') as ((connection: Duplex) => void)[];
  server.removeAllListeners('connection');
  server.on('connection', (socket) => serve!.call(server, new Front(socket)));
  function forget(this: Socket): void {
    detached.delete(this);
  }
  return {
    detach(connection) {
      const socket = (connection as Front).release();
      detached.add(socket);
      return socket.on('close', forget).on('error', ignore);
    },
    closeDetached() {
      for (const socket of detached) socket.destroy();
    },
  };
}

const FRONT = Symbol('front');
/** Undefined once it is released. */
interface Fronted extends Socket {
  [FRONT]?: Front | undefined;
}

/** What the HTTP server has instead of a socket, until it is released. */
class Front extends Duplex {
  readonly #socket: Fronted;

  constructor(socket: Socket) {
    // 'close' is emitted below, in two ways.
    super({ emitClose: false });
    this.#socket = socket;
    this.#socket[FRONT] = this;
    socket.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose).on('timeout', onTimeout);
  }

  release(): Socket {
    const socket = this.#socket;
    socket[FRONT] = undefined;
    socket.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose).off('timeout', onTimeout);
    socket.setTimeout(0);
    const unread: unknown = this.read();
    if (Buffer.isBuffer(unread)) socket.pause().unshift(unread);
    if (socket.isPaused()) process.nextTick(() => socket.resume());
    this.destroy();
    process.nextTick(closeQuietly, this);
    return socket;
  }

  override _read(): void {
    if (this.#socket.isPaused()) this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    done(error);
    if (this.#socket[FRONT] === undefined) return;
    this.#socket.destroy();
    process.nextTick(() => this.emit('close'));
  }

  // What the HTTP server calls besides the methods of a stream.

  setTimeout(ms: number): this {
    this.#socket.setTimeout(ms);
    return this;
  }

  destroySoon(): void {
    this.end(() => this.destroy());
  }
}

// For all sockets the same functions: closures of each would be felt when many connect.

function onData(this: Fronted, chunk: Buffer): void {
  if (this[FRONT]?.push(chunk) === false) this.pause();
}

function onEnd(this: Fronted): void {
  this[FRONT]?.push(null);
}

function onError(this: Fronted, error: Error): void {
  this[FRONT]?.destroy(error);
}

function onClose(this: Fronted): void {
  this[FRONT]?.destroy();
}

function onTimeout(this: Fronted): void {
  this[FRONT]?.emit('timeout');
}

/** An error is followed by 'close'. */
function ignore(): void {}

/** The server makes an error for a request that it lost. Nobody sees it; with its stack it would be a twentieth of what a client costs that comes. */
function closeQuietly(front: Duplex): void {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  front.emit('close');
  Error.stackTraceLimit = stackTraceLimit;
}
