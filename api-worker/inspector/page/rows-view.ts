/** Tables, the rows of one of them that changed last, and one row in full. */
import { byId, chip, count, create, show, size, type Item } from './elements.ts';
import { MAX_ROWS, type LocalRow, type LocalTable } from './local-database.ts';
import { createRowChanges } from './row-changes.ts';

/** Others are in the row's own view. */
const MAX_COLUMNS = 10;
const MAX_CELL_LENGTH = 200;
const MAX_CHIPS = 3;

export function showTables(
  tables: readonly LocalTable[],
  selected: string | null,
  onSelect: (name: string) => void,
): void {
  show(
    byId('tables'),
    tables.map(({ name }) => ({
      key: name,
      // A button stays, whatever its table holds: a click on one that is replaced meanwhile would be lost.
      content: '',
      build() {
        const button = create('button', {}, create('code', {}, name), create('small'));
        button.type = 'button';
        button.addEventListener('click', () => onSelect(name));
        return create('li', {}, button);
      },
    })),
  );
  for (const [index, button] of byId('tables').querySelectorAll('button').entries()) {
    const { name, rows, dataBytes } = tables[index]!;
    button.querySelector('small')!.textContent = `${count(rows)} · ${size(dataBytes)}`;
    button.setAttribute('aria-pressed', String(name === selected));
  }
}

const changes = createRowChanges();

export function showRows(table: LocalTable | null, rows: readonly LocalRow[], isFiltered: boolean): void {
  const values = rows.map(({ data }) => parsed(data));
  const columns = columnsOf(values);
  show(byId('row-columns'), rows.length === 0 ? [] : [headOf(columns, values)]);
  show(
    byId('rows'),
    changes.see(table?.name ?? null, rows).map(({ row, isNew, look }, index) => ({
      key: `${table?.name} ${row.id}`,
      content: JSON.stringify([columns, look]),
      build() {
        const element = rowOf(row, values[index]!, columns);
        // What arrives while one looks is marked.
        if (isNew) element.classList.add('changed');
        return element;
      },
    })),
  );
  byId('rows-note').textContent = noteOf(table, rows.length, isFiltered);
}

function noteOf(table: LocalTable | null, shown: number, isFiltered: boolean): string {
  if (!table) return 'No rows yet';
  if (isFiltered)
    return shown === 0 ? 'No id has this' : `${count(shown)} found${shown === MAX_ROWS ? ', or more' : ''}`;
  return table.rows > shown ? `The ${MAX_ROWS} of ${count(table.rows)} that changed last` : '';
}

function headOf(columns: readonly string[], values: readonly Readonly<Record<string, unknown>>[]): Item {
  const names = ['id', ...columns, 'op', 'buckets'];
  const numeric = new Set(
    columns.filter((name) => values.some((value) => typeof value[name] === 'number')).concat('op'),
  );
  return {
    key: 'head',
    content: JSON.stringify([names, [...numeric]]),
    build() {
      const head = create(
        'tr',
        {},
        ...names.map((name) => create('th', numeric.has(name) ? { class: 'number' } : {}, name)),
      );
      for (const cell of head.children) cell.setAttribute('scope', 'col');
      return head;
    },
  };
}

function rowOf(row: LocalRow, values: Readonly<Record<string, unknown>>, columns: readonly string[]): HTMLElement {
  const open = create('button', { class: 'link', title: 'Show the whole row' }, row.id);
  open.type = 'button';
  open.addEventListener('click', () => openRow(row));
  const buckets = row.holders.slice(0, MAX_CHIPS).map(({ bucket }) => chip(bucket));
  if (row.holders.length > MAX_CHIPS) buckets.push(chip(`+ ${row.holders.length - MAX_CHIPS}`));
  return create(
    'tr',
    {},
    create('td', {}, open),
    ...columns.map((column) => cellOf(values[column])),
    create('td', { class: 'number' }, row.lastOp),
    create('td', { class: 'chips' }, ...buckets),
  );
}

function cellOf(value: unknown): HTMLElement {
  if (value === undefined || value === null) return create('td', { class: 'none' }, value === null ? 'null' : '');
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const shortened = text.length > MAX_CELL_LENGTH ? `${text.slice(0, MAX_CELL_LENGTH)}…` : text;
  return create('td', { class: typeof value === 'number' ? 'number' : 'value', title: shortened }, shortened);
}

function columnsOf(values: readonly Readonly<Record<string, unknown>>[]): string[] {
  const names = new Set(values.flatMap((value) => Object.keys(value)));
  names.delete('id');
  return [...names].slice(0, MAX_COLUMNS);
}

function parsed(data: string | null): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(data ?? '{}');
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function openRow({ id, data, holders }: LocalRow): void {
  byId('row-title').textContent = id;
  byId('row-data').textContent = JSON.stringify(parsed(data), null, 2);
  byId('row-holders').replaceChildren(
    ...holders.map(({ bucket, op }) => create('li', {}, create('code', {}, bucket), ` at op ${op}`)),
  );
  byId<HTMLDialogElement>('row').showModal();
}
