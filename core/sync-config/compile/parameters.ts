/** The functions and qualifiers that stand for values of the session (S-72…S-79, S-223…S-229). */
import type { ParameterScope } from '../plan.ts';
import { SqlError, type Expr } from '../sql/ast.ts';
import { asciiLower } from '../sql/lexer.ts';
import type { BoundExpr } from './bound.ts';
import type { QueryContext } from './context.ts';
import { quoted } from './name-hints.ts';
import { nearest } from './nearest.ts';
import { findSource, type Scope } from './scope.ts';

const SCOPES: readonly string[] = ['auth', 'subscription', 'connection'];

/** Null when the qualifier is no parameter scope. Throws where the scope does not belong. */
export function bindParameterCall(
  expr: Expr & { kind: 'call' },
  scope: Scope,
  context: QueryContext,
): BoundExpr | null {
  const prefix = expr.schema?.text ?? '';
  if (prefix === 'request') return legacyCall(expr, context);
  if (!SCOPES.includes(prefix)) return null;
  if (context.dialect !== 'stream') {
    if (expr.schema !== null && findSource(expr.schema, scope) !== null) return null;
    const instead =
      context.dialect === 'parameters' ? '; write request.user_id(), request.jwt() or request.parameters()' : '';
    throw new SqlError('PSYNC_R2219', `${prefix}.${expr.name.text}() is only supported in streams${instead}.`, expr);
  }
  return streamCall(expr, prefix as ParameterScope);
}

function streamCall(expr: Expr & { kind: 'call' }, scope: ParameterScope): BoundExpr {
  const name = expr.name.text;
  const [argument] = expr.args;
  if (name === 'user_id' && scope === 'auth' && expr.args.length === 0) return parameter(scope, 'sub', expr);
  if (name === 'parameters' && expr.args.length === 0) return parameter(scope, null, expr);
  if (name === 'parameter' && expr.args.length === 1 && argument?.kind === 'string')
    return parameter(scope, argument.value, expr);
  if (name === 'parameter') {
    throw new SqlError('PSYNC_R2204', `Write ${scope}.parameter('name') with one text literal.`, expr);
  }
  if (name === 'parameters' && argument?.kind === 'string') {
    throw new SqlError('PSYNC_R2204', `Write ${scope}.parameter(${literal(argument.value)}).`, expr);
  }
  if (name === 'parameters' || name === 'user_id') {
    throw new SqlError(
      'PSYNC_R2204',
      `Write ${scope === 'auth' ? `auth.${name}` : `${scope}.parameters`}() without arguments.`,
      expr,
    );
  }
  const known =
    scope === 'auth'
      ? "auth.user_id(), auth.parameter('x'), auth.parameters()"
      : `${scope}.parameter('x'), ${scope}.parameters()`;
  throw new SqlError('PSYNC_R2203', `There is no function ${scope}.${expr.name.written}(); there are ${known}.`, expr);
}

const literal = (value: string): string => `'${value.replaceAll("'", "''")}'`;

const IN_STREAMS: ReadonlyMap<string, string> = new Map([
  ['user_id', 'auth.user_id()'],
  ['jwt', 'auth.parameters()'],
  ['parameters', 'connection.parameters()'],
]);

function legacyCall(expr: Expr & { kind: 'call' }, context: QueryContext): BoundExpr {
  const name = expr.name.text;
  if (context.dialect === 'stream') {
    const instead = IN_STREAMS.get(name);
    throw new SqlError(
      'PSYNC_R2203',
      `request.${name}() belongs to bucket definitions; write ${instead ?? 'auth.user_id()'} in streams.`,
      expr,
    );
  }
  if (context.dialect !== 'parameters') {
    throw new SqlError(
      'PSYNC_R2228',
      'Data queries see bucket parameters only; select this value in a parameter query and match bucket.x.',
      expr,
    );
  }
  if (expr.args.length > 0) throw new SqlError('PSYNC_R2204', `Write request.${name}() without arguments.`, expr);
  if (name === 'user_id') return parameter('auth', 'sub', expr);
  if (name === 'jwt') return parameter('auth', null, expr);
  if (name === 'parameters') return parameter('connection', null, expr);
  throw new SqlError(
    'PSYNC_R2203',
    `There is no function request.${name}(); there are user_id(), jwt(), parameters().`,
    expr,
  );
}

/** `bucket.x`, `token_parameters.x`, `user_parameters.x`; null for any other column. */
export function bindParameterColumn(expr: Expr & { kind: 'column' }, context: QueryContext): BoundExpr | null {
  if (expr.table === null) return null;
  const prefix = expr.table.text;
  if (prefix === 'bucket' && context.dialect === 'data') return bucketParameter(expr, context);
  if (context.dialect !== 'parameters') return null;
  if (prefix === 'token_parameters') {
    // user_id is the subject; all others are members of the claim "parameters" (S-226, S-227)
    if (expr.name.text === 'user_id') return parameter('auth', 'sub', expr);
    return member(parameter('auth', 'parameters', expr), expr.name.text);
  }
  return prefix === 'user_parameters' ? parameter('connection', expr.name.text, expr) : null;
}

function bucketParameter(expr: Expr & { kind: 'column' }, context: QueryContext): BoundExpr {
  const { name } = expr;
  const names = context.bucketParameters;
  if (names !== null && !names.includes(name.text)) {
    const near = names.find((item) => asciiLower(item) === asciiLower(name.text)) ?? nearest(name.text, names);
    const known = names.length === 0 ? 'there are none' : `there are ${names.join(', ')}`;
    const hint = near === null ? known : `write bucket.${quoted(near)}`;
    throw new SqlError('PSYNC_R2225', `No parameter query selects ${name.written}; ${hint}.`, name);
  }
  return { kind: 'bucketParameter', name: name.text, span: { start: expr.start, end: expr.end } };
}

function parameter(scope: ParameterScope, key: string | null, span: { start: number; end: number }): BoundExpr {
  return { kind: 'parameter', scope, key, span: { start: span.start, end: span.end } };
}
/** One member of a JSON object, whatever its name contains. */
function member(json: BoundExpr, key: string): BoundExpr {
  return { kind: 'binary', op: '->>', left: json, right: { kind: 'text', value: `$.${JSON.stringify(key)}` } };
}
