/** Giving a sync config to an API worker: the admin API, at the pod itself. */
import { Agent, request } from 'node:http';
import { HTTP_PORT } from './desired/ports.ts';

export interface DeployRequest {
  /** IP address of the pod. */
  readonly address: string;
  readonly token: string;
  readonly text: string;
}

/** Null: accepted. Otherwise why not; never the text or the token. Never rejects. */
export type DeployToWorker = (
  deployment: DeployRequest,
) => Promise<{ readonly code: string | null; readonly message: string } | null>;

/** The worker looks at the tables of the sources for warnings before it answers. */
const TIMEOUT_MS = 30_000;
const LONGEST_ANSWER_BYTES = 1024 * 1024;
const LONGEST_MESSAGE = 1000;

export function createDeployToWorker(port: number = HTTP_PORT.containerPort): DeployToWorker {
  const agent = new Agent({ keepAlive: false });
  return (deployment) =>
    new Promise((resolve) => {
      const { address, token, text } = deployment;
      const noAnswer = (): void => resolve({ code: null, message: `The API worker at ${address} did not answer.` });
      const sent = request(
        {
          ...{ agent, host: address, port, method: 'POST', path: '/api/sync-rules/v1/deploy' },
          headers: {
            authorization: `Bearer ${token}`,
            'content-type': 'application/yaml',
            'content-length': Buffer.byteLength(text),
          },
          signal: AbortSignal.timeout(TIMEOUT_MS),
        },
        (response) => {
          let answer = '';
          response.setEncoding('utf8');
          response.on('data', (piece: string) => {
            answer += piece;
            if (answer.length > LONGEST_ANSWER_BYTES) response.destroy();
          });
          response.on('error', noAnswer);
          response.on('close', () => {
            const status = response.statusCode ?? 0;
            resolve(status >= 200 && status < 300 ? null : refusal(status, answer));
          });
        },
      );
      sent.on('error', noAnswer);
      sent.end(text);
    });
}

function refusal(status: number, answer: string): { code: string | null; message: string } {
  let error: { code?: unknown; description?: unknown } | undefined;
  try {
    ({ error } = JSON.parse(answer) as { error?: { code?: unknown; description?: unknown } });
  } catch {
    // not ours: a proxy in between
  }
  const code = typeof error?.code === 'string' && /^PSYNC_[A-Z]\d{4}$/.test(error.code) ? error.code : null;
  const said = typeof error?.description === 'string' ? error.description.slice(0, LONGEST_MESSAGE) : '';
  return { code, message: said === '' ? `The API worker answered with status ${status}.` : said };
}
