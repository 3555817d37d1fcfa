// Run by `helm test` in a pod with the operator's service account.
import { readFileSync } from 'node:fs';

const { OPERATOR_URL, NAMESPACES } = process.env;
const signal = () => AbortSignal.timeout(10_000);
const failures = [];
const print = (line) => process.stdout.write(`${line}\n`);

async function check(name, ask) {
  try {
    await ask();
    print(`ok      ${name}`);
  } catch (error) {
    failures.push(name);
    print(`failed  ${name}: ${error.cause?.message ?? error.message}`);
  }
}

async function get(url, headers = {}) {
  const response = await fetch(url, { headers, signal: signal() });
  if (!response.ok) throw new Error(`${url} answers ${response.status}: ${(await response.text()).slice(0, 300)}`);
  return response;
}

if (OPERATOR_URL) {
  for (const probe of ['startup', 'liveness', 'readiness']) {
    await check(`operator: probe ${probe}`, () => get(`${OPERATOR_URL}/probes/${probe}`));
  }
  await check('operator: metrics', async () => {
    const text = await (await get(`${OPERATOR_URL}/metrics`)).text();
    if (!text.includes('\nmillrace_operator_')) throw new Error('no metric of the operator among them');
  });
}

const token = readFileSync('/var/run/secrets/kubernetes.io/serviceaccount/token', 'utf8').trim();
const api = 'https://kubernetes.default.svc/apis/millrace.dev/v1alpha1';
const headers = { authorization: `Bearer ${token}` };
await check('SyncInstance is served', async () => {
  const { resources } = await (await get(api, headers)).json();
  if (!resources.some(({ name }) => name === 'syncinstances'))
    throw new Error('no syncinstances in millrace.dev/v1alpha1');
});
for (const namespace of NAMESPACES ? NAMESPACES.split(',') : [undefined]) {
  const path = namespace === undefined ? '' : `/namespaces/${namespace}`;
  await check(`SyncInstances may be listed in ${namespace ?? 'all namespaces'}`, () =>
    get(`${api}${path}/syncinstances?limit=1`, headers),
  );
}
process.exitCode = failures.length === 0 ? 0 : 1;
