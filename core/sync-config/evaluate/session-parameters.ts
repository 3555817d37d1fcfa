/** The values a session brings: token, connection, subscription (S-72…S-92). */
import type { SessionRequest } from '../contract.ts';
import type { PlanExpr, ParameterScope } from '../plan.ts';
import type { SqliteValue } from '../values.ts';
import { compileExpression, type Evaluate } from './expression.ts';
import { parameterValue, stringifyParameters, type JsonElement } from './json/functions.ts';

type Parameters = Readonly<Record<string, unknown>>;

/** One subscription of one session; `element` is the current element while a parameter array is expanded. */
export interface SessionEnv {
  readonly userId: string;
  readonly auth: Parameters;
  readonly connection: Parameters | null;
  readonly subscription: Parameters | null;
  element: JsonElement | null;
}

export function sessionEnv(request: SessionRequest, subscription: Parameters | null): SessionEnv {
  return {
    userId: request.userId,
    auth: request.claims,
    connection: request.connectionParameters,
    subscription,
    element: null,
  };
}

/** Closure of an expression over session values. */
export function compileSessionExpression(expr: PlanExpr, fixedJsonExtract: boolean): Evaluate<SessionEnv> {
  return compileExpression<SessionEnv>(
    expr,
    {
      column: (name) => {
        throw new Error(`a session has no column ${name}`);
      },
      table: () => {
        throw new Error('a session has no table');
      },
      element: (_expansion, column) => (env) => env.element?.[column] ?? null,
      parameter: (scope, key) =>
        key === null ? (env) => allParameters(env, scope) : (env) => oneParameter(env, scope, key),
    },
    fixedJsonExtract,
  );
}

function oneParameter(env: SessionEnv, scope: ParameterScope, key: string): SqliteValue {
  if (scope === 'auth' && key === 'sub') return env.userId;
  const parameters = env[scope];
  return parameters !== null && Object.hasOwn(parameters, key) ? parameterValue(parameters[key]) : null;
}
function allParameters(env: SessionEnv, scope: ParameterScope): SqliteValue {
  const parameters = env[scope];
  return parameters === null ? null : stringifyParameters(parameters);
}
