/** What the YAML library finds, in words that say what to write instead. */
import { visit, type Document, type ErrorCode } from 'yaml';

export interface YamlFinding {
  readonly message: string;
  readonly start: number;
  readonly end: number;
}
interface Found {
  readonly message: string;
  /** Places in the text; those of the library where absent. */
  readonly at?: readonly [start: number, end: number];
}
interface Place {
  readonly text: string;
  readonly start: number;
  readonly message: string;
  readonly document: Document;
}

/** One per line: what the library finds behind the first error of a line follows from it. */
export function yamlFindings(document: Document, text: string): YamlFinding[] {
  const findings: YamlFinding[] = [];
  let line = -1;
  const problems = [...document.errors, ...document.warnings].toSorted((a, b) => a.pos[0] - b.pos[0]);
  for (const { code, message, pos } of problems) {
    if (code === 'MULTIPLE_DOCS' && /^---\s*$/.test(text.slice(pos[0]))) continue;
    const lineStart = text.lastIndexOf('\n', pos[0] - 1) + 1;
    if (lineStart === line) continue;
    line = lineStart;
    const found = explain(code, { text, start: pos[0], message, document });
    const [start, end] = found?.at ?? afterIndentation(text, pos);
    findings.push({ message: found?.message ?? asSentence(message), start, end });
  }
  return findings;
}

const SAME_COLUMN = 'All items of a list begin in the same column.';
const QUOTE_IT = 'put the whole value in quotes, or write it after >-';

/** Null where the library's own words do. */
function explain(code: ErrorCode, place: Place): Found | null {
  const { text, start, message } = place;
  switch (code) {
    case 'MULTIPLE_DOCS':
      return { message: 'A sync config is one YAML document; remove this line.', at: restOfLine(text, start) };
    case 'TAB_AS_INDENT':
      return { message: 'Indent with spaces; YAML does not allow tabs as indentation.' };
    case 'DUPLICATE_KEY': {
      const at = keyAt(text, start);
      const name = text.slice(...at).replaceAll(/^["']|["']$/g, '');
      return { message: `The key "${name}" stands in this map twice; rename or remove one.`, at };
    }
    case 'BLOCK_AS_IMPLICIT_KEY':
    case 'BLOCK_IN_FLOW':
      return message.startsWith('A block sequence') ? { message: SAME_COLUMN } : colonInValue(text, start);
    case 'BAD_SCALAR_START':
      return { message: `A value cannot begin with ${text[start] ?? ''}; ${QUOTE_IT}.` };
    case 'BAD_DQ_ESCAPE':
      return {
        message: `${message}; in double quotes a backslash is written \\\\, after >- as it is.`,
        at: [start, start + 2],
      };
    case 'TAG_RESOLVE_FAILED':
      return { message: 'A sync config has no tags; write the value itself.' };
    case 'BAD_INDENT':
      return badIndentation(place);
    case 'MULTILINE_IMPLICIT_KEY':
      return { message: 'A key stands on one line and ends with a colon.', at: restOfLine(text, start) };
    case 'MISSING_CHAR':
      if (message.startsWith('Missing closing')) return unclosedQuote(place);
      if (!message.startsWith('Implicit map keys')) return null;
      return {
        message: 'A key ends with a colon; if this belongs to the value above, indent it deeper than the key.',
        at: restOfLine(text, start),
      };
    case 'UNEXPECTED_TOKEN':
      return unexpected(place);
    default:
      return null;
  }
}

/** `: ` begins a key: inside of a value, or on a line that is indented as if it belonged to the value above. */
function colonInValue(text: string, start: number): Found | null {
  const colon = start + text.slice(start).search(/:(\s|$)/);
  if (colon < start) return null;
  const second = /^("[^"\n]*"|'[^'\n]*')\s+(?=[^\s,}])/.exec(text.slice(start, colon))?.[0].length ?? 0;
  if (second > 0) {
    return { message: 'Entries of { } are divided by commas; one is missing here.', at: [start + second, colon] };
  }
  if (!text.slice(start, colon).includes('\n')) {
    return { message: `A colon and a space begin a key in YAML; ${QUOTE_IT}.`, at: [colon, colon + 1] };
  }
  const key = text.lastIndexOf('\n', colon) + 1;
  return {
    message:
      'This key is indented deeper than the one above, which has a value already; begin both in the same column.',
    at: afterIndentation(text, [key, colon]),
  };
}

function badIndentation({ text, start, message, document }: Place): Found | null {
  const bracket = /end with a ([\]}])$/.exec(message)?.[1];
  if (bracket !== undefined) {
    const open = openBracket(document, start, text);
    const found = `The ${bracket === '}' ? '{' : '['} is not closed; close it with ${bracket}.`;
    return open < 0 ? { message: found } : { message: found, at: restOfLine(text, open) };
  }
  if (message.startsWith('All sequence items')) return { message: SAME_COLUMN };
  return message.startsWith('All mapping items') ? { message: 'All keys of a map begin in the same column.' } : null;
}

/** The last one before `end` that is not closed there; -1 when there is none. */
function openBracket(document: Document, end: number, text: string): number {
  let open = -1;
  visit(document, {
    Collection: (_, { flow, range }) => {
      if (flow !== true || !range || range[0] >= end) return;
      if (!/[\]}]/.test(text[range[1] - 1] ?? '')) open = Math.max(open, range[0]);
    },
  });
  return open;
}

function unclosedQuote({ document, start, text }: Place): Found | null {
  let open = -1;
  visit(document, {
    Scalar: (_, { range }) => {
      if (range?.[1] === start) open = range[0];
    },
  });
  if (open < 0) return null;
  return { message: `The quote is not closed; close it with ${text[open] ?? ''}.`, at: restOfLine(text, open) };
}

/** Something behind the end of a value. */
function unexpected({ text, start, message }: Place): Found | null {
  const before = text.slice(text.lastIndexOf('\n', start - 1) + 1, start).trimEnd();
  if (message.startsWith('Unexpected block-seq-ind on same line')) {
    return { message: 'A list begins on the line below its key.' };
  }
  if (/^(Block scalar header|Not a YAML token)/.test(message)) {
    return { message: 'The text begins on the line below >- or |.', at: restOfLine(text, start) };
  }
  const quote = before.at(-1);
  if (quote !== '"' && quote !== "'") return null;
  return {
    message: `The ${quote} before this ends the value; put the whole value in the other quotes, or write it after >-.`,
    at: restOfLine(text, start),
  };
}

/** As far as there is something on the line, at least one character. */
function restOfLine(text: string, start: number): [number, number] {
  const newline = text.indexOf('\n', start);
  const rest = text.slice(start, newline < 0 ? text.length : newline).trimEnd();
  return [start, start + Math.max(1, rest.length)];
}

function keyAt(text: string, start: number): [number, number] {
  const key = /^("[^"\n]*"|'[^'\n]*'|[^:\n]+(?::\S[^:\n]*)*)(?=\s*:)/.exec(text.slice(start, start + 1000))?.[0];
  return [start, start + (key?.trimEnd().length ?? 1)];
}

/** Not the indentation itself, but what is indented. */
function afterIndentation(text: string, [start, end]: readonly [number, number]): [number, number] {
  let at = start;
  if (text.slice(text.lastIndexOf('\n', start - 1) + 1, start).trim() === '') while (text[at] === ' ') at++;
  return [at, Math.max(at + 1, end)];
}

function asSentence(message: string): string {
  const text = message.replaceAll(/\s+/g, ' ').trim();
  return text.endsWith('.') ? text : `${text}.`;
}
