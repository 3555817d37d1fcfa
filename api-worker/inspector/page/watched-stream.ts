/** Reads along what the service sends to the SDK. The SDK gets it unchanged, whatever this page makes of it. */
import { afterLine, type Checkpoint } from './checkpoint.ts';
import { createFrameReader, type WireLine } from './stream-frames.ts';

export interface StreamEvents {
  /** Status, checkpoint or data may have changed. */
  changed(): void;
  happened(text: string, isProblem?: boolean): void;
  /** The service will not take this token or request: trying again is of no use. */
  refused(code: string, text: string): void;
}

export interface Traffic {
  readonly bytes: number;
  readonly lines: number;
  /** When the service says that the token ends, in ms since 1970. */
  readonly tokenEndsAt: number | null;
}

export interface WatchedStream {
  /** Of the present connection; null until the service has announced one. */
  readonly checkpoint: Checkpoint | null;
  readonly traffic: Traffic;
  stop(): void;
}

const plainFetch = globalThis.fetch.bind(globalThis);

/** Every sync stream of this page until `stop`; one at a time. */
export function watchStreams(events: StreamEvents, tokenEndsAt: number | null): WatchedStream {
  let checkpoint: Checkpoint | null = null;
  let traffic: Traffic = { bytes: 0, lines: 0, tokenEndsAt };

  const readLine = (line: WireLine): void => {
    const after = afterLine(checkpoint, line);
    checkpoint = after.checkpoint;
    if (after.event !== undefined) events.happened(after.event);
    const seconds = line['token_expires_in'];
    if (typeof seconds === 'number') traffic = { ...traffic, tokenEndsAt: Date.now() + seconds * 1000 };
  };
  const watch = (response: Response): Response => {
    if (!response.ok || !response.body) return response;
    checkpoint = null;
    const reader = createFrameReader(response.headers.get('content-type') ?? '');
    let isReadable = true;
    const linesOf = (chunk: Uint8Array): WireLine[] => {
      try {
        return isReadable ? reader.push(chunk) : [];
      } catch (error) {
        // Only this page is at a loss; the SDK judges the stream for itself.
        isReadable = false;
        events.happened(error instanceof Error ? error.message : 'The stream cannot be read along', true);
        return [];
      }
    };
    const seen = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        const lines = linesOf(chunk);
        traffic = { ...traffic, bytes: traffic.bytes + chunk.length, lines: traffic.lines + lines.length };
        for (const line of lines) readLine(line);
        controller.enqueue(chunk);
        events.changed();
      },
    });
    const { status, statusText, headers } = response;
    return new Response(response.body.pipeThrough(seen), { status, statusText, headers });
  };

  globalThis.fetch = async (resource, request) => {
    const response = await plainFetch(resource, request);
    if (!pathOf(resource).endsWith('/sync/stream')) return response;
    if (response.status >= 400 && response.status < 500 && response.status !== 429) {
      const { code, description } = await refusalOf(response.clone());
      events.refused(code, description);
    }
    return watch(response);
  };
  return {
    get checkpoint() {
      return checkpoint;
    },
    get traffic() {
      return traffic;
    },
    stop() {
      globalThis.fetch = plainFetch;
    },
  };
}

function pathOf(resource: RequestInfo | URL): string {
  const url = resource instanceof Request ? resource.url : String(resource);
  return new URL(url, location.href).pathname;
}

/** Error answers of the service have a code and a description. */
async function refusalOf(response: Response): Promise<{ code: string; description: string }> {
  const body = (await response.json().catch(() => null)) as {
    error?: { code?: string; description?: string; details?: string };
  } | null;
  const { code = `HTTP ${response.status}`, description = response.statusText, details } = body?.error ?? {};
  return { code, description: details === undefined ? description : `${description} (${details})` };
}
