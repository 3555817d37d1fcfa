import { expect, test } from 'vitest';
import { parseServiceConfig, type ParsedConfig } from './load.ts';

const parse = (text: string, environment: Record<string, string>): ParsedConfig =>
  parseServiceConfig(text, { environment, folder: '/config' });

function configOf(text: string, environment: Record<string, string>) {
  const parsed = parse(text, environment);
  if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems));
  return parsed.config;
}

function problemsOf(text: string, environment: Record<string, string>) {
  const parsed = parse(text, environment);
  return 'problems' in parsed ? parsed.problems : [];
}

test('a whole key set and a list of tokens come from one variable each (ours, beside O-19)', () => {
  const text = `storage: {type: mongodb, uri: "mongodb://h/b"}
client_auth: {jwks: !env PS_KEYS::json, audience: [app]}
api: {tokens: !env PS_TOKENS::lines}`;
  const keys = [
    { kty: 'oct', alg: 'HS256', kid: 'a', k: 'c2VjcmV0' },
    { kty: 'EC', crv: 'P-256', x: 'x', y: 'y' },
  ];
  const config = configOf(text, {
    PS_KEYS: JSON.stringify({ keys, issued_by: 'a tool' }, null, 2),
    PS_TOKENS: '\none two\r\n\n  three\n',
  });
  expect(config.clientAuth.keys).toEqual(keys);
  expect(config.api.tokens).toEqual(['one two', 'three']);
  expect(configOf(text, { PS_KEYS: '{"keys":[]}', PS_TOKENS: '' }).api.tokens).toEqual([]);
});

test('what is wrong within a variable is told without its text (O-18)', () => {
  const text = 'storage: {type: mongodb, uri: "mongodb://h/b"}\nclient_auth: {jwks: !env PS_KEYS::json}';
  const problems = [
    '{"keys": [{"kty": "oct", "alg": "HS256", "k": 5500112233}]}',
    '{"keys": 5500112233}',
    '["5500112233"]',
    '{"keys": [5500112233',
  ].map((PS_KEYS) => problemsOf(text, { PS_KEYS }));
  expect(problems.map((found) => found[0]?.line)).toEqual([2, 2, 2, 2]);
  expect(JSON.stringify(problems)).not.toContain('5500112233');
});

test('other casts are told with those that there are (O-18, O-19)', () => {
  const told = (cast: string) =>
    problemsOf(`storage: {type: mongodb, uri: "mongodb://h/b"}\nport: !env PS_PORT::${cast}`, { PS_PORT: 'x' })[0];
  const known = '::string, ::number, ::boolean, ::json or ::lines';
  expect(told('date')).toMatchObject({ code: 'PSYNC_S3225', message: `"::date" is not supported, use ${known}` });
  const message = 'the environment variable PS_PORT is not valid JSON';
  expect(told('json')).toMatchObject({ code: 'PSYNC_S3225', message });
});
