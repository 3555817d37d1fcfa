import type { DescribedValue } from './described-values.ts';

/** The values of the chart as a table in Markdown: name, default, meaning. Groups stand as their values. */
export function valuesTable(values: readonly DescribedValue[]): string {
  const rows = values.flatMap(leaves).map((value) => {
    const cells = [`\`${value.path.join('.')}\``, defaultCell(value.default), value.description];
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  });
  return ['| value | default | meaning |', '| --- | --- | --- |', ...rows].join('\n');
}

function leaves(value: DescribedValue): DescribedValue[] {
  return value.values.length > 0 ? value.values.flatMap(leaves) : [value];
}

function defaultCell(value: unknown): string {
  return `\`${JSON.stringify(value)}\``;
}
