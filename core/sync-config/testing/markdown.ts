/** For tests of documentation: the fenced blocks of a Markdown text. */

export interface Block {
  /** Behind the opening fence: `yaml`, `yaml test`. */
  readonly info: string;
  readonly text: string;
  /** Of the opening fence, from 1. */
  readonly line: number;
  /** The line before it that is not empty. */
  readonly before: string;
}

/** In their order. Throws when a fence is not closed. */
export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  const lines = markdown.split('\n');
  let before = '';
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] as string;
    if (!line.startsWith('```')) {
      if (line.trim() !== '') before = line;
      continue;
    }
    const end = lines.indexOf('```', at + 1);
    if (end < 0) throw new Error(`line ${at + 1}: the block is not closed`);
    const text = lines.slice(at + 1, end);
    blocks.push({ info: line.slice(3).trim(), text: text.map((item) => `${item}\n`).join(''), line: at + 1, before });
    at = end;
  }
  return blocks;
}
