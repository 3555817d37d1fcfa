import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';

export type KubeAnswer = { status: number; body: Record<string, unknown> };

/** `path` as in the documentation of the API, with its query; `body` is sent as JSON. */
export type KubeRequest = (
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  body?: unknown,
  headers?: Record<string, string>,
) => Promise<KubeAnswer>;

/**
 * Requests to the Kubernetes API as they are, for tests: typed clients drop fields that they do not know, and throw away
 * what exactly was answered.
 */
export function kubeRequest(kubeconfig: string): KubeRequest {
  const config = new KubeConfig();
  config.loadFromString(kubeconfig);
  const { server, caData } = config.getCurrentCluster()!;
  const { token } = config.getCurrentUser()!;
  // No connection is kept: an idle one would hold up the end of the server.
  const agent = new Agent({ keepAlive: false, ca: Buffer.from(caData ?? '', 'base64') });
  return async (method, path, body, headers = {}) => {
    const sent = request(new URL(path, server), {
      method,
      agent,
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
        ...headers,
      },
    });
    sent.end(body === undefined ? undefined : JSON.stringify(body));
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    // What is not there at all is answered in plain text.
    const isJson = response.headers['content-type']?.startsWith('application/json') === true;
    const answer = (isJson ? JSON.parse(text) : { message: text }) as Record<string, unknown>;
    return { status: response.statusCode!, body: answer };
  };
}
