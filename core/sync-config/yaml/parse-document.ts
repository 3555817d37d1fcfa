import { parseDocument, type Document, type DocumentOptions, type ParseOptions, type SchemaOptions } from 'yaml';
import type { Diagnostics } from '../compile/diagnostics.ts';
import { yamlFindings } from './yaml-findings.ts';

const STACK_ENDED = /call stack/i;

/** The document of a text; null after reporting (PSYNC_R1101) when it is no YAML, or more than one document. Never throws. */
export function parseYaml(
  text: string,
  diagnostics: Diagnostics,
  options: ParseOptions & DocumentOptions & SchemaOptions = {},
): Document | null {
  try {
    // with logLevel silent a second document would be ignored
    const strict = { prettyErrors: false, logLevel: 'error', uniqueKeys: true, merge: false } as const;
    const document = parseDocument(text, { ...strict, ...options });
    if (document.errors.some(({ message }) => STACK_ENDED.test(message))) throw new RangeError('nested too deeply');
    for (const { message, start, end } of yamlFindings(document, text)) {
      diagnostics.report('error', 'PSYNC_R1101', message, start, end);
    }
    return diagnostics.errorCount() > 0 ? null : document;
  } catch {
    // the parser recurses: absurdly deep nesting ends its stack, which it throws or reports, at a depth that varies
    diagnostics.report('error', 'PSYNC_R1101', 'The YAML cannot be read; it is nested too deeply.', 0, 1);
    return null;
  }
}
