import type { SyncConfigCode } from '../codes.ts';

/** Syntax tree of the SQL dialect (S chapter 5). Offsets count UTF-16 units in the YAML text. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** An identifier; `text` is folded to lower case unless quoted (S-143, S-244). `written` is as in the query. */
export interface Name extends Span {
  readonly text: string;
  readonly written: string;
  readonly quoted: boolean;
}

export type BinaryOperator =
  | 'and'
  | 'or'
  | '='
  | '!='
  | '<'
  | '>'
  | '<='
  | '>='
  | '+'
  | '-'
  | '*'
  | '/'
  | '%'
  | '&'
  | '|'
  | '<<'
  | '>>'
  | '||'
  | '->'
  | '->>';

export type Expr =
  | (Span & { readonly kind: 'null' })
  | (Span & { readonly kind: 'integer'; readonly text: string })
  | (Span & { readonly kind: 'real'; readonly text: string })
  | (Span & { readonly kind: 'string'; readonly value: string })
  | (Span & { readonly kind: 'boolean'; readonly value: boolean })
  | (Span & { readonly kind: 'column'; readonly table: Name | null; readonly name: Name })
  | (Span & {
      readonly kind: 'call';
      readonly schema: Name | null;
      readonly name: Name;
      readonly args: readonly Expr[];
    })
  | (Span & { readonly kind: 'unary'; readonly op: 'not' | '-' | '+' | '~'; readonly operand: Expr })
  | (Span & {
      readonly kind: 'binary';
      readonly op: BinaryOperator;
      readonly left: Expr;
      readonly right: Expr;
      readonly opSpan: Span;
    })
  | (Span & { readonly kind: 'isNull'; readonly operand: Expr; readonly negated: boolean })
  | (Span & {
      readonly kind: 'between';
      readonly operand: Expr;
      readonly low: Expr;
      readonly high: Expr;
      readonly negated: boolean;
    })
  | (Span & { readonly kind: 'in'; readonly operand: Expr; readonly set: Expr; readonly negated: boolean })
  | (Span & { readonly kind: 'overlaps'; readonly left: Expr; readonly right: Expr })
  | (Span & {
      readonly kind: 'case';
      readonly subject: Expr | null;
      readonly whens: readonly CaseWhen[];
      readonly otherwise: Expr | null;
    })
  | (Span & { readonly kind: 'cast'; readonly operand: Expr; readonly type: Name })
  /** `ARRAY[…]`, `ROW(…)`, `(a, b)`: only as the right side of IN (S-154). */
  | (Span & { readonly kind: 'list'; readonly items: readonly Expr[] })
  /** Parentheses are kept: they matter for `IN ('a')` and for the precedence warning. */
  | (Span & { readonly kind: 'group'; readonly inner: Expr })
  | (Span & { readonly kind: 'subquery'; readonly select: Select });

export interface CaseWhen {
  readonly when: Expr;
  readonly then: Expr;
}

export type SelectItem =
  | (Span & { readonly kind: 'star'; readonly table: Name | null })
  | (Span & { readonly kind: 'expr'; readonly expr: Expr; readonly alias: Name | null });

/** Its span is that of the table or subquery with the alias, without ON. `joined`: it stands behind JOIN, not behind a comma. */
export type FromItem = Span & { readonly on: Expr | null; readonly joined: boolean; readonly alias: Name | null } & (
    | { readonly kind: 'table'; readonly schema: Name | null; readonly name: Name }
    | { readonly kind: 'function'; readonly name: Name; readonly args: readonly Expr[] }
    | { readonly kind: 'select'; readonly select: Select; readonly columns: readonly Name[] | null }
  );

export interface Select extends Span {
  readonly items: readonly SelectItem[];
  readonly from: readonly FromItem[];
  readonly where: Expr | null;
}

/** A finding that ends the reading of one query, or of one part of it. `follow-up`: it follows from an error found before. */
export class SqlError extends Error {
  readonly code: SyncConfigCode;
  readonly start: number;
  readonly end: number;
  readonly level: 'error' | 'follow-up';

  constructor(code: SyncConfigCode, message: string, span: Span, level: 'error' | 'follow-up' = 'error') {
    super(message);
    this.code = code;
    this.start = span.start;
    this.end = span.end;
    this.level = level;
  }
}
