/** docs/operations/authentication.md at its word: its commands are run, its configurations read, its codes and sample compared. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseServiceConfig } from '#core/platform/config/load.ts';
import { ERROR_REGISTRY } from '#core/platform/errors/registry.ts';
import { freePort, until } from '../instance/instance.ts';
import type { TestDatabase } from '../services/contract.ts';
import { postgres } from '../services/postgres.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const PAGE = await readFile(join(PROJECT, 'docs/operations/authentication.md'), 'utf8');
const blocks = (language: string): string[] =>
  [...PAGE.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].flatMap(([, of, body]) => (of === language ? [body!] : []));
const COMMANDS = blocks('sh').flatMap((block) => block.trim().split('\n'));
const SECRET = randomBytes(32);
const K = SECRET.toString('base64url');
const ENVIRONMENT = {
  PS_JWK_SECRET: K,
  PS_KEY_SET: JSON.stringify({ keys: [{ kty: 'oct', alg: 'HS256', kid: 'dev-1', k: K }] }),
  PS_ADMIN_TOKEN: randomBytes(20).toString('hex'),
};

let databases: TestDatabase[] = [];
let folder: string;
let port: number;
let stop: () => Promise<void>;

/** What the page leaves out, and the part of the file that it shows. */
const serviceYaml = (clientAuth: string): string => `
replication: {connections: [{type: postgresql, uri: "${databases[0]?.url ?? 'postgresql://u:p@h:5432/d'}", sslmode: disable}]}
storage: {type: postgresql, uri: "${databases[1]?.url ?? 'postgresql://u:p@h:5432/s'}", sslmode: disable}
api: {tokens: [!env PS_ADMIN_TOKEN]}
port: ${port ?? 8080}
${clientAuth}`;

const sign = (audience: string, claims: Record<string, string> = {}): Promise<string> =>
  new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256', kid: 'dev-1' })
    .setSubject('alice')
    .setAudience(audience)
    .setIssuedAt()
    .setExpirationTime('10m')
    .sign(SECRET);

/** As much of curl as the page uses; not every machine has it. */
const CURL = `const { argv } = process; const headers = {}; let url, method, body;
for (let at = 2; at < argv.length; at++) {
  if (argv[at] === '-X') method = argv[++at];
  else if (argv[at] === '-H') { const [name, value] = argv[++at].split(': '); headers[name] = value; }
  else if (argv[at] === '-d') body = argv[++at];
  else url = argv[at];
}
const answer = await fetch(url, { method, headers, body });
console.log(await answer.text());
process.exit(answer.ok ? 0 : 1);`;

async function shell(line: string): Promise<{ code: number | null; out: string; errors: string }> {
  const millrace = `"${process.execPath}" "${join(PROJECT, 'cli/millrace.mjs')}"`;
  const script = `curl() { "${process.execPath}" curl.mjs "$@"; }
${line.replaceAll('npx millrace', millrace).replace('http://localhost:8080/', `http://127.0.0.1:${port}/`)}`;
  const child = spawn('sh', ['-c', script], { cwd: folder, env: { ...process.env, ...ENVIRONMENT }, stdio: 'pipe' });
  child.stdin.end();
  const ended = new Promise<number | null>((resolve) => void child.once('exit', resolve));
  const [out, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, out, errors };
}

beforeAll(async () => {
  const { createDatabase } = await postgres();
  databases = [await createDatabase(), await createDatabase()];
  port = await freePort();
  folder = await mkdtemp(join(tmpdir(), 'millrace-auth-docs-'));
  const development = blocks('yaml').find((block) => block.includes('PS_JWK_SECRET'))!;
  await writeFile(join(folder, 'service.yaml'), serviceYaml(development));
  await writeFile(join(folder, 'token.txt'), await sign('my-app'));
  await writeFile(join(folder, 'curl.mjs'), CURL);
  const words = [join(PROJECT, 'cli/millrace.mjs'), 'start', '-r', 'api', '-c', join(folder, 'service.yaml')];
  const service = spawn(process.execPath, words, { env: { ...process.env, ...ENVIRONMENT }, stdio: 'ignore' });
  const ended = new Promise((resolve) => void service.once('exit', resolve));
  stop = async () => {
    service.kill('SIGTERM');
    await ended;
  };
  const answers = (): Promise<boolean> =>
    fetch(`http://127.0.0.1:${port}/probes/liveness`).then(
      () => true,
      () => false,
    );
  await until('the service', answers);
});
afterAll(async () => {
  await stop?.();
  await rm(folder, { recursive: true, force: true });
  for (const database of databases) await database.drop();
});

describe('docs/operations/authentication.md', () => {
  const configurations = blocks('yaml').map((block) => ({ block, keys: block.match(/\w+(?=:)/g)!.join(', ') }));
  test.each(configurations)('a configuration is accepted, without warnings: $keys', ({ block }) => {
    const parsed = parseServiceConfig(serviceYaml(block), { environment: ENVIRONMENT, folder: '.' });
    expect(parsed).toMatchObject({ config: expect.anything() as unknown, notices: [] });
  });

  test.each(COMMANDS)('%s', async (line) => {
    const { code, out, errors } = await shell(line);
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    if (line.includes('millrace token')) expect(out).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    else if (line.includes('--output json')) expect(JSON.parse(out)).toMatchObject({ accepted: true });
    else if (line.includes('explain')) expect(out).toContain('Accepted.');
    else if (line.startsWith('curl')) expect(JSON.parse(out)).toMatchObject({ data: { subject: 'alice' } });
    else expect(out).toMatch(/^Revoked the tokens? /);
  });

  test('the tokens of the page work, and its revocations are known to the service', async () => {
    const claims = await shell(COMMANDS.find((line) => line.includes('--claim'))!);
    const payload = JSON.parse(Buffer.from(claims.out.split('.')[1]!, 'base64url').toString()) as object;
    expect(payload).toMatchObject({ sub: 'alice', team: 'blue', roles: ['editor'] });
    const revoked = async (token: string): Promise<string> =>
      (
        await fetch(`http://127.0.0.1:${port}/write-checkpoint2.json`, { headers: { authorization: `Token ${token}` } })
      ).text();
    const old = await readFile(join(folder, 'token.txt'), 'utf8');
    await until('the service to know', async () => (await revoked(old)).includes('PSYNC_S2120'), 5000);
    const jti = /--jti (\S+)/.exec(PAGE)![1]!;
    expect(await revoked(await sign('my-app', { jti }))).toContain('PSYNC_S2120');
  });

  test('the sample is what is printed', async () => {
    await writeFile(join(folder, 'odd.txt'), await sign('my-app/'));
    const { code, out } = await shell('npx millrace explain token - -c service.yaml < odd.txt');
    expect(code).toBe(1);
    const plain = (printed: string): string =>
      printed
        .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z, \d+ s/g, '<time>')
        .replace(/of \d+ characters/, 'of <n> characters')
        .trim();
    // Revoked by the commands above, when they ran.
    const line = /^revocation .*(\n +.*)*$/m;
    expect(plain(out).replace(line, '')).toBe(plain(blocks('text')[0]!).replace(line, ''));
  });

  test('the codes are those of the registry', () => {
    const listed = [...PAGE.matchAll(/^\| `(PSYNC_\w+)` \|/gm)].map(([, code]) => code);
    const ofTokens = Object.keys(ERROR_REGISTRY).filter((code) => /^PSYNC_S2[12]/.test(code) && code !== 'PSYNC_S2201');
    expect(listed).toEqual(ofTokens);
  });
});
