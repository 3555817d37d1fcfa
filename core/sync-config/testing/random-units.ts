/** For tests: random queries of streams and bucket definitions, each as a config of its own. */
import fc from 'fast-check';
import { CTES, cte } from './random-conditions.ts';
import { definition } from './random-legacy.ts';
import { query } from './random-queries.ts';
import { plain } from './random-values.ts';

const [first, second, global] = CTES;
const texts = (queries: readonly { readonly ours: string }[]): string =>
  JSON.stringify(queries.map(({ ours }) => plain(ours)));

const stream = fc
  .record({ query, one: cte(['v']), two: cte(['v', 'w']), three: cte(['v']) })
  .map(({ query, one, two, three }) => {
    const ctes = { [first]: one, [second]: two, [global]: three };
    const named = Object.entries(ctes).map(([name, { ours }]) => `${name}: ${JSON.stringify(plain(ours))}`);
    return `config: { edition: 3 }\nstreams:\n  s:\n    with: { ${named.join(', ')} }\n    queries: ${texts([query])}\n`;
  });
const rules = definition.map(({ parameters, data }) => {
  const keys = parameters.length === 0 ? '' : `    parameters: ${texts(parameters)}\n`;
  return `config: { edition: 3 }\nbucket_definitions:\n  s:\n${keys}    data: ${texts(data)}\n`;
});

/** As texts, which tell what they are. */
export const unitConfig: fc.Arbitrary<string> = fc.oneof(
  { weight: 2, arbitrary: stream },
  { weight: 1, arbitrary: rules },
);
