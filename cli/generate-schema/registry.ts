import type { EmitSchema, SchemaLanguage } from './contract.ts';
import { emitDart } from './dart.ts';
import { emitDotNet } from './dot-net.ts';
import { emitJavaScript } from './js.ts';
import { emitLegacyJavaScript } from './js-legacy.ts';
import { emitKotlin } from './kotlin.ts';
import { emitSwift } from './swift.ts';
import { emitTypeScript } from './ts.ts';

export const SCHEMA_EMITTERS: Readonly<Record<SchemaLanguage, EmitSchema>> = {
  ts: emitTypeScript,
  js: emitJavaScript,
  jsLegacy: emitLegacyJavaScript,
  dart: emitDart,
  kotlin: emitKotlin,
  swift: emitSwift,
  dotNet: emitDotNet,
};
