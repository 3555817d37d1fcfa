/** The body of a session request (S-524…S-538), checked by hand: it is read for every connect, and says exactly what is wrong. */
import { codedError } from '#core/platform/errors/coded-error.ts';
import { MAX_APP_METADATA_KEYS, MAX_APP_METADATA_VALUE_LENGTH } from '#core/platform/limits.ts';

type JsonObject = Readonly<Record<string, unknown>>;

export interface SyncRequestBody {
  readonly clientId: string;
  readonly positions: ReadonlyMap<string, number>;
  readonly rawData: boolean;
  readonly connectionParameters: JsonObject | null;
  readonly includeDefaults: boolean;
  readonly subscriptions: readonly {
    readonly stream: string;
    readonly parameters: unknown;
    readonly overridePriority: number | null;
  }[];
  readonly appMetadata: Readonly<Record<string, string>> | undefined;
}

/** Findings of one request that are reported; the first ones help most. */
const MAX_FINDINGS = 10;
/** Deeper parameters are refused: nothing needs them, and evaluating them recursively must be safe. */
const MAX_DEPTH = 32;
/** Values in the parameters of a request or a subscription; each may be looked at many times. */
const MAX_PARAMETER_VALUES = 100_000;
/** As many as buckets can be allowed at most (S-640); evaluating them costs time before any limit on buckets is reached. */
const MAX_SUBSCRIPTIONS = 10_000;
/** A UUID in practice (S-529); anything this long is accepted. */
const MAX_CLIENT_ID_LENGTH = 512;
/** Op ids are 64 bit numbers with a sign (S-544). */
const MAX_OP_ID = 2n ** 63n - 1n;

/** Throws PSYNC_S2001 with status 400 and the findings in `details`. Unknown members are ignored (S-538). */
export function parseSyncRequest(body: unknown): SyncRequestBody {
  const findings: string[] = [];
  const report = (path: string, message: string): void => {
    if (findings.length < MAX_FINDINGS) findings.push(`${path}: ${message}`);
  };
  if (!isObject(body)) throw invalid(['type must be object']);
  const result = {
    clientId: parseClientId(body['client_id'], '/client_id', report),
    positions: parsePositions(body['buckets'], report),
    rawData: body['raw_data'] === true,
    connectionParameters: parseParameters(body['parameters'], report),
    ...parseStreams(body['streams'], report),
    appMetadata: cutMetadata(body['app_metadata']),
  };
  if (findings.length > 0) throw invalid(findings);
  return result;
}

export type Report = (path: string, message: string) => void;

function invalid(findings: readonly string[]): Error {
  return codedError('PSYNC_S2001', 'Validation failed', { status: 400, details: findings });
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Empty when absent. Reports what cannot be the key of a write checkpoint; Postgres cannot store NUL in text. */
export function parseClientId(value: unknown, path: string, report: Report): string {
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string') report(path, 'type must be string');
  else if (value.length > MAX_CLIENT_ID_LENGTH)
    report(path, `must not be longer than ${MAX_CLIENT_ID_LENGTH} characters`);
  else if (value.includes('\0')) report(path, 'must not contain the character NUL');
  else return value;
  return '';
}

/** Names are not looked up: those that do not apply are ignored later (S-525). */
function parsePositions(value: unknown, report: Report): Map<string, number> {
  const positions = new Map<string, number>();
  if (value === undefined || value === null) return positions;
  if (!Array.isArray(value)) {
    report('/buckets', 'type must be array');
    return positions;
  }
  for (const [index, item] of (value as unknown[]).entries()) {
    if (!isObject(item) || typeof item['name'] !== 'string') {
      report(`/buckets/${index}`, "must have required property 'name' of type string");
      continue;
    }
    const after = item['after'];
    if (typeof after !== 'string' || !/^\d{1,19}$/.test(after) || (after.length === 19 && BigInt(after) > MAX_OP_ID)) {
      report(`/buckets/${index}`, "must have required property 'after', a decimal string of at most 2^63 - 1");
      continue;
    }
    const position = Number(after);
    // Named twice: what comes twice does no harm, a gap does.
    positions.set(item['name'], Math.min(position, positions.get(item['name']) ?? position));
  }
  return positions;
}

function parseParameters(value: unknown, report: Report): JsonObject | null {
  if (value === undefined || value === null) return null;
  if (!isObject(value)) report('/parameters', 'type must be object or null');
  else if (isModest(value, '/parameters', report)) return value;
  return null;
}

function parseStreams(value: unknown, report: Report): Pick<SyncRequestBody, 'includeDefaults' | 'subscriptions'> {
  // Clients older than Sync Streams get the default streams (S-71).
  if (value === undefined || value === null) return { includeDefaults: true, subscriptions: [] };
  if (!isObject(value)) {
    report('/streams', 'type must be object');
    return { includeDefaults: true, subscriptions: [] };
  }
  const includeDefaults = value['include_defaults'] ?? true;
  if (typeof includeDefaults !== 'boolean') report('/streams/include_defaults', 'type must be boolean');
  const list = value['subscriptions'] ?? [];
  if (!Array.isArray(list)) report('/streams/subscriptions', 'type must be array');
  let items: unknown[] = Array.isArray(list) ? list : [];
  if (items.length > MAX_SUBSCRIPTIONS) {
    report('/streams/subscriptions', `must not have more than ${MAX_SUBSCRIPTIONS} items`);
    items = [];
  }
  return {
    includeDefaults: includeDefaults !== false,
    subscriptions: items.map((item, index) => parseSubscription(item, `/streams/subscriptions/${index}`, report)),
  };
}

function parseSubscription(item: unknown, path: string, report: Report): SyncRequestBody['subscriptions'][number] {
  if (!isObject(item) || typeof item['stream'] !== 'string') {
    report(path, "must have required property 'stream' of type string");
    return { stream: '', parameters: null, overridePriority: null };
  }
  const parameters = item['parameters'] ?? null;
  isModest(parameters, `${path}/parameters`, report);
  const priority = item['override_priority'] ?? null;
  const isPriority = priority === null || (typeof priority === 'number' && Number.isInteger(priority) && priority >= 0);
  if (!isPriority) report(`${path}/override_priority`, 'must be null or one of 0, 1, 2, 3');
  // Parameters of another type than object become an error of the stream, not of the session (S-535).
  return { stream: item['stream'], parameters, overridePriority: isPriority ? lowest(priority) : null };
}

/** Level by level, no further than the bounds. */
function isModest(value: unknown, path: string, report: Report): boolean {
  let values = 0;
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    const next: unknown[] = [];
    for (const item of level) {
      if (typeof item !== 'object' || item === null) continue;
      const members = Array.isArray(item) ? (item as unknown[]) : Object.values(item);
      values += members.length;
      if (values > MAX_PARAMETER_VALUES) {
        report(path, `must not have more than ${MAX_PARAMETER_VALUES} values`);
        return false;
      }
      for (const member of members) if (typeof member === 'object' && member !== null) next.push(member);
      if (depth === MAX_DEPTH && members.length > 0) {
        report(path, `must not be nested deeper than ${MAX_DEPTH}`);
        return false;
      }
    }
    level = next;
  }
  return true;
}

/** For logs; cut rather than refused (S-651, O-194). */
function cutMetadata(value: unknown): Readonly<Record<string, string>> | undefined {
  if (!isObject(value)) return undefined;
  const entries: [string, string][] = [];
  for (const [key, item] of Object.entries(value)) {
    if (typeof item !== 'string') continue;
    entries.push([key.slice(0, MAX_APP_METADATA_VALUE_LENGTH), item.slice(0, MAX_APP_METADATA_VALUE_LENGTH)]);
    if (entries.length >= MAX_APP_METADATA_KEYS) break;
  }
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

const LOWEST_PRIORITY = 3;

/** Clients take any whole number (S-493), and the service before let it pass (wire/06): less urgent than 3 there is nothing. */
function lowest(priority: number | null): number | null {
  return priority === null ? null : Math.min(priority, LOWEST_PRIORITY);
}
