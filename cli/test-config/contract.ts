/** What a test file of a sync config says, and what came of it (docs/sync-config/testing.md). */
import type { SessionRequest } from '#core/sync-config/contract.ts';
import type { FixtureTable } from '#core/sync-config/try-out/replicate.ts';

/** A part of the test file, in UTF-16 offsets. */
export interface Place {
  readonly start: number;
  readonly end: number;
}

/** Kinds of sources, which decide the default schema (R-52, S-248…S-251). */
export type SourceKind = 'postgresql' | 'mongodb' | 'mysql' | 'mssql' | 'convex';

export interface TestFile {
  readonly config: ConfigReference;
  /** Kind by connection tag. */
  readonly sources: ReadonlyMap<string, SourceKind>;
  readonly defaultSource: string;
  readonly tables: readonly PlacedTable[];
  readonly limits: { readonly maxBuckets: number; readonly maxParameterResults: number };
  readonly tests: readonly TestCase[];
}

/** Where the sync config stands: in another file, or in this one. */
export type ConfigReference =
  | { readonly kind: 'file'; readonly path: string; readonly place: Place }
  | { readonly kind: 'inline'; readonly text: string; readonly locate: (offset: number) => number };

export interface PlacedTable extends FixtureTable {
  /** As it is written. */
  readonly written: string;
  readonly place: Place;
  readonly rowPlaces: readonly Place[];
}

export interface TestCase {
  readonly name: string;
  readonly place: Place;
  readonly request: SessionRequest;
  /** Of the stream's name, by subscription. */
  readonly subscriptionPlaces: readonly Place[];
  /** Null: not asked for. Streams that are not named must give nothing. */
  readonly expect: readonly ExpectedStream[] | null;
  readonly never: readonly ForbiddenTable[];
  readonly buckets: number | null;
  /** The code that resolving must fail with. */
  readonly error: string | null;
}

export interface ExpectedStream {
  readonly name: string;
  readonly place: Place;
  readonly tables: readonly ExpectedTable[];
}
export interface ExpectedTable {
  readonly name: string;
  readonly place: Place;
  readonly rows: readonly ExpectedRow[];
}
export interface ExpectedRow {
  readonly id: string;
  readonly place: Place;
  /** Null: whatever its columns are. `id` is among them. */
  readonly columns: ReadonlyMap<string, ExpectedValue> | null;
}
/** `text` is the JSON text of the value as the service writes it (S-275, S-276). */
export type ExpectedValue =
  | { readonly kind: 'scalar'; readonly text: string }
  /** A list or map: the column is text that holds this JSON, however it is spaced and ordered. */
  | { readonly kind: 'json'; readonly text: string };

export interface ForbiddenTable {
  readonly name: string;
  readonly place: Place;
  readonly ids: readonly { readonly id: string; readonly place: Place }[];
}

/** An error or warning about the test file or its sync config. Line and column count from 1. */
export interface Finding {
  readonly level: 'error' | 'warning';
  readonly code: string;
  readonly message: string;
  /** The test file, or the sync config that it names. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** The finding as people read it: where, what, and the line with a mark below. */
  readonly text: string;
}

/** One way in which what a session gets is not what the test says. */
export type Difference =
  /** A row that the stream gives, and the test does not name. */
  | {
      readonly kind: 'unexpected';
      readonly stream: string;
      readonly table: string;
      readonly id: string;
      readonly buckets: readonly string[];
    }
  /** A row that the test names, and the stream does not give. */
  | {
      readonly kind: 'missing';
      readonly stream: string;
      readonly table: string;
      readonly id: string;
      readonly reason: string;
    }
  /** A column with another value; JSON texts, null where the row has no such column. */
  | {
      readonly kind: 'changed';
      readonly stream: string;
      readonly table: string;
      readonly id: string;
      readonly column: string;
      readonly expected: string | null;
      readonly actual: string | null;
    }
  /** A row under `never` that a stream gives. */
  | {
      readonly kind: 'forbidden';
      readonly stream: string;
      readonly table: string;
      readonly id: string;
      readonly buckets: readonly string[];
    }
  | {
      readonly kind: 'buckets';
      readonly expected: number;
      readonly actual: number;
      readonly buckets: readonly string[];
    }
  /** Resolving failed, or did not fail, against what the test says. */
  | { readonly kind: 'error'; readonly expected: string | null; readonly actual: string | null };

export interface TestResult {
  readonly name: string;
  /** Where it stands in the test file, from 1. */
  readonly line: number;
  readonly passed: boolean;
  readonly differences: readonly Difference[];
  /** Of the session, for tests that pass too: how many there are. */
  readonly durationMs: number;
}

export interface FileResult {
  readonly file: string;
  /** With an error among them no test was run. */
  readonly findings: readonly Finding[];
  readonly tests: readonly TestResult[];
  /** No errors, and no test failed. True without tests: whoever runs several files decides whether that is enough. */
  readonly passed: boolean;
}
