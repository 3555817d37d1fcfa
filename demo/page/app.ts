/** The demo page: the public web SDK, unmodified, against this instance. Bundled by `cli/dev/dev.ts`. */
import {
  column,
  PowerSyncDatabase,
  Schema,
  SyncStreamConnectionMethod,
  Table,
  type AbstractPowerSyncDatabase,
  type PowerSyncBackendConnector,
} from '@powersync/web';

const USERS = ['alice', 'bob'];
const LIST = 'groceries';
const search = new URLSearchParams(location.search);
const user = search.get('user') ?? USERS[0]!;
/** `?connection=websocket`: the other way to connect that the SDK has. */
const connectionMethod =
  search.get('connection') === 'websocket' ? SyncStreamConnectionMethod.WEB_SOCKET : SyncStreamConnectionMethod.HTTP;

const schema = new Schema({
  lists: new Table({ name: column.text, created_at: column.text }),
  todos: new Table({
    list_id: column.text,
    description: column.text,
    completed: column.integer,
    created_at: column.text,
  }),
});

interface Todo {
  id: string;
  description: string;
  completed: number;
}

const connector: PowerSyncBackendConnector = {
  async fetchCredentials() {
    const response = await fetch(`/demo/token?user=${encodeURIComponent(user)}`);
    if (!response.ok) throw new Error(`No token: ${response.status}`);
    const { token } = (await response.json()) as { token: string };
    return { endpoint: location.origin, token };
  },
  async uploadData(database: AbstractPowerSyncDatabase) {
    const transaction = await database.getNextCrudTransaction();
    if (!transaction) return;
    const { token } = (await connector.fetchCredentials())!;
    const operations = transaction.crud.map(({ op, table, id, opData }) => ({ op, table, id, data: opData ?? null }));
    const response = await fetch('/demo/upload', {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Token ${token}` },
      body: JSON.stringify({ operations }),
    });
    if (!response.ok) throw new Error(`Upload failed: ${response.status}`);
    const { refused } = (await response.json()) as { refused?: string };
    showProblem(refused === undefined ? '' : `The backend refused a change, so it is undone here: ${refused}`);
    await transaction.complete();
  },
};

const element = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;

const database = new PowerSyncDatabase({
  schema,
  database: { dbFilename: `millrace-demo-${user}.db`, worker: '/demo/worker/worker.js' },
  sync: { worker: '/demo/worker/worker.js' },
});

function showUsers(): void {
  for (const name of USERS) {
    const link = document.createElement('a');
    link.href = `?user=${name}`;
    link.textContent = name;
    if (name === user) link.setAttribute('aria-current', 'page');
    element('users').append(link);
  }
  const other = USERS.find((name) => name !== user)!;
  element<HTMLAnchorElement>('other').href = `?user=${other}`;
  element('other').textContent = other;
  document.title = `${user} · Millrace demo`;
}

/** Rows that stay keep their elements: focus and a click in progress survive what others change. */
function showTodos(todos: readonly Todo[]): void {
  const list = element('todos');
  const present = new Map([...list.querySelectorAll('li')].map((item) => [item.dataset['id'], item]));
  const items = todos.map((todo) => {
    const item = present.get(todo.id) ?? createItem(todo.id);
    const completed = Boolean(todo.completed);
    item.className = completed ? 'done' : '';
    item.querySelector('input')!.checked = completed;
    item.querySelector('span')!.textContent = todo.description;
    item.querySelector('button')!.setAttribute('aria-label', `Remove ${todo.description}`);
    return item;
  });
  const isSame = items.length === list.children.length && items.every((item, index) => list.children[index] === item);
  if (!isSame) list.replaceChildren(...items);
  showEmpty();
}

/** Before the first sync nobody knows whether it is empty. */
function showEmpty(): void {
  element('empty').hidden = element('todos').children.length > 0 || database.currentStatus.hasSynced !== true;
}

function createItem(id: string): HTMLLIElement {
  const item = document.createElement('li');
  item.dataset['id'] = id;
  const box = document.createElement('input');
  box.type = 'checkbox';
  box.addEventListener(
    'change',
    () => void database.execute('UPDATE todos SET completed = ? WHERE id = ?', [box.checked ? 1 : 0, id]),
  );
  const label = document.createElement('label');
  label.append(box, document.createElement('span'));
  const remove = document.createElement('button');
  remove.textContent = 'Remove';
  remove.addEventListener('click', () => void database.execute('DELETE FROM todos WHERE id = ?', [id]));
  item.append(label, remove);
  return item;
}

async function showStatus(): Promise<void> {
  const { count } = await database.get<{ count: number }>('SELECT count(*) AS count FROM ps_crud');
  // Read after the wait, so that the last call shows the newest.
  const { connected, lastSyncedAt, downloadProgress, dataFlowStatus } = database.currentStatus;
  const state = element<HTMLInputElement>('offline').checked ? 'offline' : connected ? 'connected' : 'connecting';
  const parts = [state === 'connecting' ? 'connecting …' : state];
  if (downloadProgress) parts.push(`${Math.round(downloadProgress.downloadedFraction * 100)} % downloaded`);
  else if (lastSyncedAt) parts.push(`synced at ${lastSyncedAt.toLocaleTimeString()}`);
  if (count > 0) parts.push(`${count} change${count === 1 ? '' : 's'} waiting`);
  const failure =
    state === 'offline'
      ? undefined
      : (dataFlowStatus.uploadError ?? (connected ? undefined : dataFlowStatus.downloadError));
  if (failure) parts.push(failure.message);
  element('status').textContent = parts.join(' · ');
  element('status').dataset['state'] = state;
  showEmpty();
}

function showProblem(text: string): void {
  element('problem').textContent = text;
  element('problem').hidden = text === '';
}

/** The first copy of the tables takes a moment; until then there is nothing to connect to. */
async function untilReady(): Promise<void> {
  for (;;) {
    try {
      const response = await fetch('/demo/status');
      const { ready, message, psql } = (await response.json()) as { ready: boolean; message: string; psql: string };
      element('psql').textContent = psql;
      if (ready) return;
      element('status').textContent = message;
    } catch {
      element('status').textContent = 'waiting for npm start …';
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

function listen(): void {
  database.registerListener({ statusChanged: () => void showStatus() });
  database.watch('SELECT name FROM lists WHERE id = ?', [LIST], {
    onResult: (result) => {
      const name = (result.rows?._array as { name: string }[] | undefined)?.[0]?.name;
      element('name').textContent = name ?? 'A shared to-do list';
    },
  });
  database.watch('SELECT id, description, completed FROM todos WHERE list_id = ? ORDER BY created_at, id', [LIST], {
    onResult: (result) => {
      showTodos((result.rows?._array ?? []) as Todo[]);
      void showStatus();
    },
  });
  element<HTMLFormElement>('add').addEventListener('submit', (event) => {
    event.preventDefault();
    const input = element<HTMLInputElement>('description');
    const description = input.value.trim();
    input.value = '';
    if (description === '') return;
    const values = [crypto.randomUUID(), LIST, description, new Date().toISOString()];
    void database.execute(
      'INSERT INTO todos (id, list_id, description, completed, created_at) VALUES (?, ?, ?, 0, ?)',
      values,
    );
  });
  element<HTMLInputElement>('offline').addEventListener('change', () => void connectOrNot());
}

async function connectOrNot(): Promise<void> {
  if (element<HTMLInputElement>('offline').checked) await database.disconnect();
  else await database.connect(connector, { connectionMethod });
  await showStatus();
}

// Browsers remember ticked boxes when a page is loaded again.
element<HTMLInputElement>('offline').checked = false;
showUsers();
await untilReady();
await database.init();
listen();
await connectOrNot();
