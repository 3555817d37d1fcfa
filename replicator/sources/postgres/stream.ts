import type pg from 'pg';
import { codedError, isCodedError } from '#core/platform/errors/coded-error.ts';
import type { IsWanted, Position, ReplicatedTable, StreamHandler } from '../contract.ts';
import type { RowFault } from '../values/row-fault.ts';
import { createChangeReader } from './change-reader.ts';
import { abortable, connectPrimary, cut, endQuietly, socketOf } from './connect.ts';
import { type PostgresConnection, publicationName } from './config.ts';
import { type CopyChannel, createCopyChannel } from './copy-channel.ts';
import { sourceError } from './errors.ts';
import { createKnownTables } from './known-tables.ts';
import type { Layouts } from './layouts.ts';
import { malformed } from './pgoutput.ts';
import { comparePositions, formatPositionHalves, positionZero } from './position.ts';
import { readServerFacts, type ServerFacts } from './server.ts';
import { freeSlot, isSlotLost, readSlot, slotLostError, slotState } from './slots.ts';
import type { SideQueries } from './side-queries.ts';
import { quoteIdentifier, type PublishedTable } from './tables.ts';

export interface StreamOptions {
  readonly slot: string;
  readonly position: Position;
  readonly handler: StreamHandler;
  readonly signal: AbortSignal;
  /** Tables as they were when last seen; see known-tables.ts. */
  readonly known: readonly ReplicatedTable[];
  /** Where `acknowledge` is told. */
  readonly acknowledged: AcknowledgedPosition;
}

/** The newest position that is stored durably; what the server may forget (G5). */
export interface AcknowledgedPosition {
  position: Position;
  /** Called when it moved. */
  moved: () => void;
}

export interface StreamDependencies {
  readonly connection: PostgresConnection;
  readonly queries: SideQueries;
  readonly layouts: Layouts;
  readonly isWanted: IsWanted;
  unusable(table: PublishedTable): void;
  unfit(table: PublishedTable, fault: RowFault): void;
  readonly replicatedBytes: (bytes: number) => void;
}

/** A status goes to the server at least this often, whatever the handler does, and four times within wal_sender_timeout. */
const statusIntervalMs = 5_000;
const statusesPerTimeout = 4;
/** Moves of the acknowledged position are told at most this often. */
const acknowledgeIntervalMs = 200;
/** The server is asked for a sign of life after this silence, and given up after twice as long. */
const silenceMs = 30_000;

/**
 * Follows a slot from `position` until the signal aborts (resolves) or something fails (rejects with a coded error). A handler's
 * promise stops the reading; statuses go on.
 */
export async function runStream(options: StreamOptions, dependencies: StreamDependencies): Promise<void> {
  const { signal, slot } = options;
  if (signal.aborted) return;
  let client: pg.Client | null = null;
  try {
    const walsender = await connectPrimary(dependencies.connection, { replication: true, signal });
    client = walsender;
    const facts = await abortable(walsender, signal, async () => {
      const found = await readServerFacts(walsender);
      await checkSlot(walsender, found, options, dependencies);
      return found;
    });
    await follow(walsender, facts, options, dependencies);
  } catch (error) {
    if (signal.aborted) return;
    if (isSlotLost(error)) throw slotLostError(slot, error);
    throw isCodedError(error) ? error : sourceError(error, 'The replication stream');
  } finally {
    if (client !== null) await endStream(client);
  }
}

async function checkSlot(
  client: pg.Client,
  facts: ServerFacts,
  { slot, position, signal }: StreamOptions,
  { connection, queries }: StreamDependencies,
): Promise<void> {
  const row = await readSlot(client, facts, slot);
  const state = slotState(slot, row, connection.database, position);
  if (state.kind === 'lost') throw codedError('PSYNC_S1146', state.reason);
  if (row?.active_pid != null) await freeSlot(queries, slot, signal);
}

async function follow(
  client: pg.Client,
  facts: ServerFacts,
  options: StreamOptions,
  dependencies: StreamDependencies,
): Promise<void> {
  const { handler, signal, acknowledged } = options;
  signal.throwIfAborted();
  const channel = createCopyChannel(client);
  // Asked for each change: a combined signal looks through its parts each time.
  let aborted = false;
  const reader = createChangeReader({
    layouts: dependencies.layouts,
    known: createKnownTables(options.known),
    start: options.position,
    isWanted: dependencies.isWanted,
    unusable: dependencies.unusable,
    unfit: dependencies.unfit,
    emit: (event) => (aborted ? never : handler.event(event)),
  });
  const status = createStatusSender(channel, acknowledged, facts.walSenderTimeoutMs);
  const onAbort = (): void => {
    aborted = true;
    status.stop();
    channel.abandon();
  };
  signal.addEventListener('abort', onAbort, { once: true });
  let received = 0;
  try {
    await channel.run(startStatement(facts, options), {
      begun: () => status.start((error) => socketOf(client).destroy(error)),
      data(bytes, start, end) {
        const type = bytes[start];
        if (type === 0x77 /* w: XLogData */) {
          if (end - start < 26) throw malformed('message without header');
          received += end - start - 25;
          return reader.read(bytes, start + 25, end);
        }
        if (type !== 0x6b /* k: keepalive */ || end - start < 18) throw malformed('message of an unknown kind');
        const position = formatPositionHalves(bytes.readUInt32BE(start + 1), bytes.readUInt32BE(start + 5));
        status.received(position, bytes[start + 17] === 1);
        reader.passed(position);
      },
      idle() {
        if (received > 0) dependencies.replicatedBytes(received);
        received = 0;
        const promise = reader.flushPassed();
        if (promise !== undefined) return promise.then(() => handler.idle());
        handler.idle();
      },
    });
    throw codedError('PSYNC_S1170', 'The source ended the replication stream. It is opened again.');
  } finally {
    status.stop();
    signal.removeEventListener('abort', onAbort);
  }
}

/** After the abort nothing is handed on, and nothing goes on. */
const never = new Promise<void>(() => undefined);

function startStatement({ versionNumber }: ServerFacts, { slot, position }: StreamOptions): string {
  // Logical messages are asked for so that a transaction with one is seen as a transaction: it moves the position at once.
  const messages = versionNumber >= 140_000 ? `, messages 'true'` : '';
  return (
    `START_REPLICATION SLOT ${quoteIdentifier(slot)} LOGICAL ${position} ` +
    `(proto_version '1', publication_names '${publicationName}'${messages})`
  );
}

interface StatusSender {
  /** Begins to send statuses; `silent` is told when the server says nothing for too long. */
  start(silent: (error: Error) => void): void;
  received(position: Position, replyRequested: boolean): void;
  stop(): void;
}

function createStatusSender(
  channel: CopyChannel,
  acknowledged: AcknowledgedPosition,
  walSenderTimeoutMs: number,
): StatusSender {
  const intervalMs =
    walSenderTimeoutMs === 0 ? statusIntervalMs : Math.min(statusIntervalMs, walSenderTimeoutMs / statusesPerTimeout);
  let highest = positionZero;
  let lastSent = 0;
  let pending: NodeJS.Timeout | null = null;
  let ticking: NodeJS.Timeout | null = null;

  const send = (requestReply = false): void => {
    if (pending !== null) clearTimeout(pending);
    pending = null;
    lastSent = performance.now();
    const written = comparePositions(highest, acknowledged.position) > 0 ? highest : acknowledged.position;
    channel.send(statusUpdate(written, acknowledged.position, requestReply));
  };
  const soon = (): void => {
    if (pending !== null) return;
    const wait = Math.max(0, lastSent + acknowledgeIntervalMs - performance.now());
    pending = setTimeout(send, wait);
    pending.unref();
  };
  const tick = (silent: (error: Error) => void): void => {
    // While the handler holds the stream back, nobody listens to the server.
    const silence = channel.held ? 0 : performance.now() - channel.lastReceived;
    if (silence > 2 * silenceMs)
      silent(Object.assign(new Error('the server was silent for too long: timed out'), { code: 'ETIMEDOUT' }));
    else send(silence > silenceMs);
  };

  return {
    start(silent) {
      send();
      ticking = setInterval(() => tick(silent), intervalMs);
      ticking.unref();
      acknowledged.moved = soon;
    },
    received(position, replyRequested) {
      if (comparePositions(position, highest) > 0) highest = position;
      if (replyRequested) send();
    },
    stop() {
      acknowledged.moved = () => undefined;
      if (ticking !== null) clearInterval(ticking);
      ticking = null;
      // The last word, so that the server need not send again what is stored.
      if (pending !== null) send();
    },
  };
}

/** Standby status update: written, flushed, applied, clock, reply requested. */
function statusUpdate(written: Position, flushed: Position, requestReply: boolean): Buffer {
  const message = Buffer.alloc(34);
  message[0] = 0x72;
  writePosition(message, 1, written);
  writePosition(message, 9, flushed);
  writePosition(message, 17, flushed);
  message.writeBigInt64BE(BigInt(Date.now() - Date.UTC(2000, 0, 1)) * 1_000n, 25);
  message[33] = requestReply ? 1 : 0;
  return message;
}

function writePosition(message: Buffer, at: number, position: Position): void {
  message.writeUInt32BE(Number.parseInt(position.slice(0, 8), 16), at);
  message.writeUInt32BE(Number.parseInt(position.slice(9), 16), at + 4);
}

const goodbyeMs = 1_000;

/** Lets the server free the slot at once; does not wait long for it. */
async function endStream(client: pg.Client): Promise<void> {
  const timer = setTimeout(() => cut(client), goodbyeMs);
  try {
    await client.end();
  } catch {
    // Gone already.
  } finally {
    clearTimeout(timer);
    endQuietly(client);
  }
}
