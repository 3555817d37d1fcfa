/** Values of the session that are written like columns (`auth.user_id`), or as another kind of query has them. */
import type { Name } from '../sql/ast.ts';
import type { Dialect } from './context.ts';

/** The message; null when the qualifier has nothing to do with sessions. */
export function sessionValueHint(qualifier: Name, name: Name, dialect: Dialect): string | null {
  const values = VALUES.get(qualifier.text);
  if (values === undefined || qualifier.quoted) return null;
  const written = `${qualifier.text}.${name.written}`;
  if (dialect === 'data')
    return `${written} is not known in data queries; select the value in a parameter query, and match bucket.${name.text}.`;
  if (dialect === 'event') return `${written} is not known in payload queries; they see values of their row only.`;
  const instead = values[dialect](name);
  if (instead === null) return null;
  const what = instead.startsWith(written) ? `${written} is a function` : `${written} is not known here`;
  return `${what}; write ${instead}.`;
}

type Instead = Readonly<Record<'stream' | 'parameters', (name: Name) => string | null>>;

const text = ({ written }: Name): string => `'${written.replaceAll("'", "''")}'`;
const claim = (name: Name): string =>
  name.text === 'user_id' ? 'auth.user_id()' : name.text === 'parameters' ? 'auth.parameters()' : member('auth', name);
const member = (scope: string, name: Name): string => {
  if (name.text === 'parameters') return `${scope}.parameters()`;
  return name.text === 'parameter' ? `${scope}.parameter('name')` : `${scope}.parameter(${text(name)})`;
};
const ofRequest = (name: Name): string => {
  if (name.text === 'user_id' || name.text === 'jwt' || name.text === 'parameters') return `request.${name.text}()`;
  return `request.jwt() ->> ${text(name)}`;
};
const fromClient = (name: Name): string =>
  name.text === 'parameters' ? 'request.parameters()' : `request.parameters() ->> ${text(name)}`;

const VALUES: ReadonlyMap<string, Instead> = new Map(
  Object.entries({
    auth: { stream: claim, parameters: ofRequest },
    connection: { stream: (name) => member('connection', name), parameters: fromClient },
    subscription: { stream: (name) => member('subscription', name), parameters: fromClient },
    request: {
      stream: (name) => {
        if (name.text === 'jwt') return 'auth.parameters()';
        return name.text === 'parameters' ? 'connection.parameters()' : claim(name);
      },
      parameters: ofRequest,
    },
    token_parameters: {
      // S-227
      stream: (name) => (name.text === 'user_id' ? 'auth.user_id()' : `auth.parameter('parameters') ->> ${text(name)}`),
      parameters: () => null,
    },
    user_parameters: { stream: (name) => `connection.parameter(${text(name)})`, parameters: () => null },
    bucket: {
      stream: () => 'the value that it is compared with, such as auth.user_id() or a subquery',
      parameters: () => 'the value itself; data queries match it as bucket.name',
    },
  } satisfies Record<string, Instead>),
);
