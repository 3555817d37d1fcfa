import type { ClientStream } from '#core/sync-config/client-schema.ts';
import { identifiersFor, type IdentifierStyle } from './identifiers.ts';

export interface NamedParameter {
  readonly name: string;
  readonly identifier: string;
}
/** A stream with what its function and the function's parameters are called in a language (O-275). */
export interface NamedStream {
  readonly name: string;
  readonly identifier: string;
  readonly parameters: readonly NamedParameter[];
}

/** Functions are different from one another, and so are the parameters of one function. */
export function namedStreams(
  streams: readonly ClientStream[],
  styles: { readonly functions: IdentifierStyle; readonly parameters: IdentifierStyle },
): NamedStream[] {
  const functions = named(
    streams.map(({ name }) => name),
    styles.functions,
  );
  return functions.map((stream, at) => ({
    ...stream,
    parameters: named(streams[at]?.parameters ?? [], styles.parameters),
  }));
}

function named(names: readonly string[], style: IdentifierStyle): NamedParameter[] {
  const identifiers = identifiersFor(names, style);
  return names.map((name) => ({ name, identifier: identifiers.get(name) ?? name }));
}
