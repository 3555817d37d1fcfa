/** Building and updating the page. Texts only ever become text: rows may hold anything. */

export const byId = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;

type Child = Node | string;

export function create<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Readonly<{ class?: string; title?: string; [data: `data-${string}`]: string }> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export interface Item {
  readonly key: string;
  /** Everything that the element shows: while it is the same the element stays, with its focus and selection. */
  readonly content: string;
  build(): HTMLElement;
}

/** What an element was built from. */
const built = new WeakMap<Element, Item>();

/** Makes the children of `parent` those of `items`, in their order, touching only what changed. */
export function show(parent: HTMLElement, items: readonly Item[]): void {
  const present = new Map<string, Element>();
  for (const child of parent.children) {
    const item = built.get(child);
    if (item) present.set(item.key, child);
  }
  const wanted = items.map((item) => {
    const old = present.get(item.key);
    if (old && built.get(old)?.content === item.content) return old;
    const element = item.build();
    built.set(element, item);
    return element;
  });
  const kept = new Set(wanted);
  for (const child of [...parent.children]) if (!kept.has(child)) child.remove();
  wanted.forEach((element, index) => {
    if (parent.children[index] !== element) parent.insertBefore(element, parent.children[index] ?? null);
  });
}

/** A table row; cells are texts or elements, numbers stand to the right. */
export function row(...cells: readonly (Child | number)[]): HTMLTableRowElement {
  return create(
    'tr',
    {},
    ...cells.map((cell) =>
      typeof cell === 'number' ? create('td', { class: 'number' }, count(cell)) : create('td', {}, cell),
    ),
  );
}

export function chip(text: string, state: 'good' | 'busy' | 'bad' | 'plain' = 'plain', title = ''): HTMLElement {
  return create('span', { class: 'chip', 'data-state': state, ...(title === '' ? {} : { title }) }, text);
}

export function bar(done: number, total: number, label: string): HTMLElement {
  const progress = create('progress', { title: `${count(done)} of ${count(total)}` });
  progress.max = Math.max(total, 1);
  progress.value = total === 0 ? 1 : Math.min(done, total);
  progress.setAttribute('aria-label', label);
  return progress;
}

const numbers = new Intl.NumberFormat('en');
export const count = (value: number): string => numbers.format(value);

export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ['kB', 'MB', 'GB'];
  const power = Math.min(units.length, Math.floor(Math.log10(bytes) / 3));
  return `${(bytes / 1000 ** power).toPrecision(3)} ${units[power - 1]}`;
}

export const time = (date: Date): string => date.toLocaleTimeString([], { hour12: false });
