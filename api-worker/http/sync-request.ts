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

/** Throws PSYNC_S2001 with status 400 and the findings in `details`. Unknown members are ignored (S-538). */
export function parseSyncRequest(body: unknown): SyncRequestBody {
  const findings: string[] = [];
  const report = (path: string, message: string): void => {
    if (findings.length < MAX_FINDINGS) findings.push(`${path}: ${message}`);
  };
  if (!isObject(body)) throw invalid(['type must be object']);
  const result = {
    clientId: optionalString(body['client_id'], '/client_id', report) ?? '',
    positions: parsePositions(body['buckets'], report),
    rawData: body['raw_data'] === true,
    connectionParameters: parseParameters(body['parameters'], report),
    ...parseStreams(body['streams'], report),
    appMetadata: cutMetadata(body['app_metadata']),
  };
  if (findings.length > 0) throw invalid(findings);
  return result;
}

type Report = (path: string, message: string) => void;

function invalid(findings: readonly string[]): Error {
  return codedError('PSYNC_S2001', 'Validation failed', { status: 400, details: findings });
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function optionalString(value: unknown, path: string, report: Report): string | undefined {
  if (value === undefined || value === null || typeof value === 'string') return value ?? undefined;
  report(path, 'type must be string');
  return undefined;
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
    const position = typeof after === 'string' && /^\d{1,19}$/.test(after) ? Number(after) : null;
    if (position === null) report(`/buckets/${index}`, "must have required property 'after', a decimal string");
    else positions.set(item['name'], position);
  }
  return positions;
}

function parseParameters(value: unknown, report: Report): JsonObject | null {
  if (value === undefined || value === null) return null;
  if (!isObject(value)) report('/parameters', 'type must be object or null');
  else if (isTooDeep(value)) report('/parameters', `must not be nested deeper than ${MAX_DEPTH}`);
  else return value;
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
  const items: unknown[] = Array.isArray(list) ? list : [];
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
  if (isTooDeep(parameters)) report(`${path}/parameters`, `must not be nested deeper than ${MAX_DEPTH}`);
  const priority = item['override_priority'] ?? null;
  const isPriority =
    priority === null || (typeof priority === 'number' && Number.isInteger(priority) && priority >= 0 && priority <= 3);
  if (!isPriority) report(`${path}/override_priority`, 'must be null or one of 0, 1, 2, 3');
  // Parameters of another type than object become an error of the stream, not of the session (S-535).
  return { stream: item['stream'], parameters, overridePriority: isPriority ? priority : null };
}

function isTooDeep(value: unknown): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; depth <= MAX_DEPTH; depth++) {
    level = level.flatMap((item) =>
      typeof item === 'object' && item !== null ? (Object.values(item) as unknown[]) : [],
    );
    if (level.length === 0) return false;
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
