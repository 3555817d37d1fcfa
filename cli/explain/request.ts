/** What is asked, checked. */
import { parseSyncRequest } from '#api-worker/http/sync-request.ts';
import { codedError } from '#core/platform/errors/coded-error.ts';
import type { ExplainRequest } from './contract.ts';

/** Each is resolved on its own. */
const MOST_SUBSCRIPTIONS = 100;
const MOST_CHARACTERS = 10_000;

/**
 * Reads `{table, id, user, claims?, parameters?, subscriptions?, include_defaults?, client_id?}`. `claims` is the payload of a token, whose
 * `sub` stands for `user`; subscriptions are those of a sync request (S-524…S-537). Throws PSYNC_S2001 (400) that says what is wrong.
 */
export function parseExplainRequest(body: unknown): ExplainRequest {
  if (!isObject(body)) throw invalid('send an object as JSON');
  const {
    table,
    id,
    user,
    claims = {},
    parameters,
    subscriptions = [],
    include_defaults: defaults,
    client_id: client,
  } = body;
  if (typeof table !== 'string' || table === '') throw invalid('give the table as text in "table"');
  if (typeof id !== 'string' && typeof id !== 'number') throw invalid('give the id of the row in "id"');
  if (!isObject(claims)) throw invalid('"claims" is the payload of a token, an object');
  const subject = user ?? claims['sub'];
  if (typeof subject !== 'string' && typeof subject !== 'number')
    throw invalid('give the user in "user", or as "sub" in "claims"');
  if (!Array.isArray(subscriptions) || subscriptions.length > MOST_SUBSCRIPTIONS)
    throw invalid(`"subscriptions" is a list of at most ${MOST_SUBSCRIPTIONS}`);
  for (const text of [table, String(id), String(subject)]) {
    if (text.length > MOST_CHARACTERS || text.includes('\0'))
      throw invalid(`texts have at most ${MOST_CHARACTERS} characters, and no NUL`);
  }
  const request = parseSyncRequest({
    client_id: client,
    parameters,
    streams: { include_defaults: defaults, subscriptions },
  });
  return {
    table,
    id: String(id),
    session: {
      userId: String(subject),
      claims: { ...claims, sub: String(subject) },
      connectionParameters: request.connectionParameters,
      includeDefaults: request.includeDefaults,
      subscriptions: request.subscriptions,
    },
    clientId: client === undefined || client === null ? null : request.clientId,
  };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(what: string): Error {
  return codedError('PSYNC_S2001', `The request cannot be read: ${what}`, { status: 400 });
}
