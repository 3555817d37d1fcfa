/**
 * docs/operations/explain.md: its commands are run against a service with its sync config and its tables, and print what stands there, but
 * for numbers and times. UPDATE=1 writes what they print.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { blocksOf, type Block } from '#core/sync-config/testing/markdown.ts';
import { createProtocolClient, type ProtocolClient } from '../client/protocol-client.ts';
import { runMillraceWith } from '../instance/command.ts';
import { ADMIN_TOKEN, type Service } from '../instance/instance.ts';
import { createFixture, type Fixture } from './fixture.ts';

const PAGE = new URL('../../docs/operations/explain.md', import.meta.url);
const page = await readFile(PAGE, 'utf8');
const blocks = blocksOf(page);
const commands = blocks.filter(({ info }) => info === 'console');
const textOf = (info: string): string => blocks.find((block) => block.info === info)?.text ?? expect.fail(info);

let fixture: Fixture;
let service: Service;
let alice: ProtocolClient;
beforeAll(async () => {
  fixture = await createFixture({ storage: 'postgresql', schema: textOf('sql'), syncConfig: textOf('yaml') });
  service = await fixture.instance.start('unified');
  await fixture.instance.untilActive(service);
  const token = await fixture.instance.token('alice');
  alice = createProtocolClient({ endpoint: service.endpoint, token, clientId: 'phone' });
  await alice.connect();
  await alice.until(() => alice.counts.completes > 0, 'the first checkpoint', 15_000);
});
afterAll(async () => {
  alice?.disconnect();
  await fixture?.close();
});

/** What a command of the page prints here. */
async function run(command: string): Promise<string> {
  const words = command.split(' ').slice(1);
  const url = words.indexOf('--url');
  const here = words.filter(
    (word, at) => word !== '-c' && words[at - 1] !== '-c' && at !== url && words[at - 1] !== '--url',
  );
  const { output } =
    url < 0
      ? await fixture.instance.run(...here)
      : await runMillraceWith({ PS_ADMIN_TOKEN: ADMIN_TOKEN }, ...here, '--url', service.endpoint);
  return output;
}

/** Without what is different each time. */
function comparable(output: string): string {
  return output
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replaceAll(/[0-9A-F]{8}\/[0-9A-F]{8}/g, 'POSITION')
    .replaceAll(/\b(op|checksum|checkpoint) \d+/g, '$1 N')
    .replaceAll(/ \d+ sent completely/g, ' N sent completely')
    .trim();
}

const commandOf = ({ text }: Block): string => text.slice(2, text.indexOf('\n'));
test.each(commands.map((block) => ({ block, command: commandOf(block) })))('$command', async ({ block, command }) => {
  const output = await run(command);
  if (process.env['UPDATE'] === '1') await update(command, output);
  else expect(comparable(output)).toBe(comparable(block.text.slice(block.text.indexOf('\n') + 1)));
});

async function update(command: string, output: string): Promise<void> {
  const text = await readFile(PAGE, 'utf8');
  const start = text.indexOf(`$ ${command}\n`);
  const end = text.indexOf('\n```', start);
  await writeFile(PAGE, `${text.slice(0, start)}$ ${command}\n${output.trim()}${text.slice(end)}`);
}

test('the request of the page is one, and its options are those of the command', async () => {
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' };
  const url = `${service.endpoint}/api/admin/v1/explain`;
  const response = await fetch(url, { method: 'POST', headers, body: textOf('json') });
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({ data: { verdict: { gets: 'yes' } } });
  const { output } = await runMillraceWith({}, 'explain', 'row', '--help');
  for (const [option = ''] of page.matchAll(/(?<=^\| `)--[a-z-]+/gm)) expect(output).toContain(option);
});
