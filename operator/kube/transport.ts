/** HTTP to the API server, with the credentials of a kubeconfig or of the pod's service account. */
import {
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type RequestOptions,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { KubeError } from './kube-error.ts';

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Ends the request, and the answer while it is read. */
  readonly signal: AbortSignal;
  /** The answer lasts for minutes: nobody else must wait for its connection. */
  readonly lasts?: boolean;
}

/** Sends a request; resolves with the head of the answer. Rejects with `Unreachable`. */
export type Transport = (request: ApiRequest) => Promise<IncomingMessage>;

/** Connections that are kept. More requests at once wait; watches have connections of their own, one for each kind and namespace. */
const MAX_SOCKETS = 64;

/**
 * The library knows where credentials come from (files that rotate, exec plugins, OIDC) and is asked before each request; its own agents are not taken:
 * one kind is made anew for every request, the other keeps no connection. Only a proxy of the kubeconfig needs them.
 */
export function createTransport(kubeConfig: KubeConfig): Transport {
  const server = kubeConfig.getCurrentCluster()?.server;
  if (server === undefined) {
    throw new KubeError('Unreachable', 'No Kubernetes cluster is configured: set KUBECONFIG, or run inside a cluster');
  }
  const base = new URL(server);
  const isTls = base.protocol === 'https:';
  const proxied = kubeConfig.getCurrentCluster()?.proxyUrl !== undefined;
  const createAgent = (maxSockets: number): HttpAgent => {
    const agentOptions = { keepAlive: true, maxSockets, keepAliveMsecs: 15_000 };
    return isTls ? new HttpsAgent(agentOptions) : new HttpAgent(agentOptions);
  };
  const requestAgent = createAgent(MAX_SOCKETS);
  const watchAgent = createAgent(Infinity);

  return async ({ method, path, headers, body, signal, lasts = false }) => {
    const options: RequestOptions = {};
    try {
      await kubeConfig.applyToHTTPSOptions(options);
    } catch (cause) {
      throw new KubeError('Unreachable', `No credentials for ${base.host}`, { cause });
    }
    if (!proxied) options.agent = lasts ? watchAgent : requestAgent;
    const url = new URL(base.pathname.replace(/\/$/, '') + path, base);
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    return new Promise((resolve, reject) => {
      const sent = (isTls ? httpsRequest : httpRequest)(url, {
        ...options,
        method,
        headers: { ...(options.headers as OutgoingHttpHeaders), ...headers, ...length },
        signal,
      });
      sent.once('error', (cause) => reject(new KubeError('Unreachable', `${method} ${path}: no answer`, { cause })));
      sent.once('response', resolve);
      sent.end(body);
    });
  };
}
