/** `Kube` by raw JSON requests: the typed calls of the library drop keys that they do not know. */
import type { IncomingMessage } from 'node:http';
import type { Clock } from '#core/platform/clock.ts';
import type {
  DeleteOptions,
  Kube,
  KubeObject,
  ObjectList,
  Place,
  ResourceType,
  Selection,
  WatchEvent,
} from './contract.ts';
import { KubeError, isKubeError, kubeErrorOf } from './kube-error.ts';
import { readBody, readLines } from './read-answer.ts';
import { collectionPath, objectPath } from './resource-types.ts';
import type { ApiRequest, Transport } from './transport.ts';

export interface KubeClientOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: () => number;
  /** Ends everything. */
  readonly signal?: AbortSignal;
}

/** An answer that is not whole by then counts as none. */
const REQUEST_TIMEOUT_MS = 30_000;
/** The server ends a watch after a time in this range, so that a dead connection is noticed and load spreads. */
const WATCH_SECONDS = { least: 180, most: 300 };
/** How much longer than the server a watch waits. */
const WATCH_SLACK_MS = 15_000;
const PAGE_SIZE = 500;
/** An overloaded server is asked again so often, at its own pace, before the caller hears of it. */
const MAX_TRIES = 4;
const LONGEST_RETRY_AFTER_MS = 10_000;
const AGENT = { 'user-agent': 'millrace-operator' };
const JSON_TYPE = 'application/json';
const METADATA_ONLY = (kind: 'PartialObjectMetadata' | 'PartialObjectMetadataList'): string =>
  `application/json;as=${kind};g=meta.k8s.io;v=v1`;

type Sending = Pick<ApiRequest, 'method' | 'path' | 'body'> & { readonly accept?: string; readonly type?: string };

export function createKubeClient(options: KubeClientOptions): Kube {
  const send = <T>(sending: Sending): Promise<T> => sendJson<T>(options, sending);

  return {
    async get<T extends KubeObject>(type: ResourceType, place: Place): Promise<T | null> {
      try {
        return await send<T>({ method: 'GET', path: objectPath(type, place) });
      } catch (error) {
        if (isKubeError(error, 'NotFound')) return null;
        throw error;
      }
    },
    list: (type, selection) => listAll(send, type, selection),
    watch: (type, selection) => watch(options, type, selection),
    create: (type, object) =>
      send({
        method: 'POST',
        path: `${collectionPath(type, object.metadata.namespace ?? null)}?fieldManager=millrace-operator`,
        body: JSON.stringify(named(type, object)),
      }),
    replace: (type, object) =>
      send({
        method: 'PUT',
        path: `${objectPath(type, placeOf(object))}?fieldManager=millrace-operator`,
        body: JSON.stringify(named(type, object)),
      }),
    apply(type, object, { fieldManager, force, subresource }) {
      const query = new URLSearchParams({ fieldManager, force: String(force) });
      return send({
        method: 'PATCH',
        path: `${objectPath(type, placeOf(object), subresource)}?${query.toString()}`,
        // JSON is YAML.
        type: 'application/apply-patch+yaml',
        body: JSON.stringify(named(type, object)),
      });
    },
    patch: (type, place, patch) =>
      send({
        method: 'PATCH',
        path: `${objectPath(type, place)}?fieldManager=millrace-operator`,
        type: 'application/merge-patch+json',
        body: JSON.stringify(patch),
      }),
    async delete(type, place, deletion) {
      try {
        await send({ method: 'DELETE', path: objectPath(type, place), body: JSON.stringify(deleteBody(deletion)) });
      } catch (error) {
        if (!isKubeError(error, 'NotFound')) throw error;
      }
    },
  };
}

function named<T extends KubeObject>({ apiVersion, kind }: ResourceType, object: T): T {
  return { ...object, apiVersion, kind };
}

function placeOf(object: KubeObject): Place {
  const { name, namespace } = object.metadata;
  if (name === undefined) throw new TypeError('The object has no name');
  return { namespace: namespace ?? null, name };
}

function deleteBody({ uid, resourceVersion, propagation }: DeleteOptions): object {
  const preconditions = {
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
  return { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: propagation, preconditions };
}

async function listAll(
  send: <T>(sending: Sending) => Promise<T>,
  type: ResourceType,
  selection: Selection,
): Promise<ObjectList> {
  const items: KubeObject[] = [];
  let next: string | undefined;
  for (;;) {
    const query = queryOf(selection);
    query.set('limit', String(PAGE_SIZE));
    if (next !== undefined) query.set('continue', next);
    const page = await send<{
      items?: KubeObject[] | null;
      metadata: { resourceVersion: string; continue?: string };
    }>({
      method: 'GET',
      path: `${collectionPath(type, selection.namespace)}?${query.toString()}`,
      ...(selection.metadataOnly === true ? { accept: METADATA_ONLY('PartialObjectMetadataList') } : {}),
    });
    // Items of a list do not say what they are.
    items.push(...(page.items ?? []).map((item) => named(type, item)));
    next = page.metadata.continue;
    if (next === undefined || next === '') return { items, resourceVersion: page.metadata.resourceVersion };
  }
}

function queryOf({ labelSelector, fieldSelector }: Selection): URLSearchParams {
  const query = new URLSearchParams();
  if (labelSelector !== undefined) query.set('labelSelector', labelSelector);
  if (fieldSelector !== undefined) query.set('fieldSelector', fieldSelector);
  return query;
}

/** Sends until the server is not overloaded, then reads the answer. */
async function sendJson<T>(options: KubeClientOptions, sending: Sending): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await sendOnce<T>(options, sending);
    } catch (error) {
      const wait = isKubeError(error, 'TooManyRequests') ? (error.retryAfterMs ?? 1000) : undefined;
      if (wait === undefined || wait > LONGEST_RETRY_AFTER_MS || tries === MAX_TRIES) throw error;
      await options.clock.sleep(wait * (1 + options.random() / 2), options.signal);
    }
  }
}

async function sendOnce<T>({ transport, clock, signal }: KubeClientOptions, sending: Sending): Promise<T> {
  const { method, path, body, accept = JSON_TYPE, type = JSON_TYPE } = sending;
  const what = `${method} ${path.split('?', 1)[0]}`;
  const deadline = new AbortController();
  const timer = clock.setTimer(
    REQUEST_TIMEOUT_MS,
    () => deadline.abort(new KubeError('Unreachable', `${what}: no answer within ${REQUEST_TIMEOUT_MS / 1000} s`)),
    { keepAlive: true },
  );
  try {
    const response = await transport({
      method,
      path,
      headers: { ...AGENT, accept, ...(body === undefined ? {} : { 'content-type': type }) },
      ...(body === undefined ? {} : { body }),
      signal: signal === undefined ? deadline.signal : AbortSignal.any([signal, deadline.signal]),
    });
    return (await readJson(response, what)) as T;
  } finally {
    timer.cancel();
  }
}

async function readJson(response: IncomingMessage, what: string): Promise<unknown> {
  const status = response.statusCode ?? 0;
  const text = await readBody(response, what);
  const isGood = status >= 200 && status < 300;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    if (isGood) throw new KubeError('Unreachable', `${what}: the answer is not JSON`, { status, cause });
  }
  if (!isGood) throw kubeErrorOf(status, value, what, response.headers['retry-after']);
  return value;
}

async function* watch(
  { transport, clock, random, signal: stop }: KubeClientOptions,
  type: ResourceType,
  selection: Parameters<Kube['watch']>[1],
): AsyncGenerator<WatchEvent> {
  const { least, most } = WATCH_SECONDS;
  const seconds = Math.round(least + random() * (most - least));
  const query = queryOf(selection);
  query.set('watch', 'true');
  query.set('allowWatchBookmarks', 'true');
  query.set('resourceVersion', selection.resourceVersion);
  query.set('timeoutSeconds', String(seconds));
  const path = `${collectionPath(type, selection.namespace)}?${query.toString()}`;
  const what = `watch ${type.plural}`;
  const end = new AbortController();
  const timer = clock.setTimer(seconds * 1000 + WATCH_SLACK_MS, () => end.abort());
  const signals = [selection.signal, end.signal, ...(stop === undefined ? [] : [stop])];
  try {
    const accept = selection.metadataOnly === true ? METADATA_ONLY('PartialObjectMetadata') : JSON_TYPE;
    const signal = AbortSignal.any(signals);
    const response = await transport({ method: 'GET', path, headers: { ...AGENT, accept }, signal, lasts: true });
    if (response.statusCode !== 200) await readJson(response, what);
    for await (const line of readLines(response, what)) {
      const event = JSON.parse(line) as { type: string; object: KubeObject & { code?: number } };
      if (event.type === 'ERROR') throw kubeErrorOf(event.object.code ?? 500, event.object, what);
      yield { type: event.type as WatchEvent['type'], object: named(type, event.object) };
    }
  } finally {
    timer.cancel();
    end.abort();
  }
}
