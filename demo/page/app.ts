/** The demo page: the public web SDK, unmodified, against this instance. Bundled by `cli/dev/bundle.ts`. */
import { column, PowerSyncDatabase, Schema, Table, type AbstractPowerSyncDatabase, type PowerSyncBackendConnector } from '@powersync/web';

const USERS = ['alice', 'bob'];
const LIST = 'groceries';
const user = new URLSearchParams(location.search).get('user') ?? USERS[0]!;

const schema = new Schema({
  lists: new Table({ name: column.text, created_at: column.text }),
  todos: new Table({ list_id: column.text, description: column.text, completed: column.integer, created_at: column.text }),
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
}

function showTodos(todos: readonly Todo[]): void {
  const items = todos.map((todo) => {
    const item = document.createElement('li');
    item.dataset['id'] = todo.id;
    item.className = todo.completed ? 'done' : '';
    const box = document.createElement('input');
    box.type = 'checkbox';
    box.checked = Boolean(todo.completed);
    box.setAttribute('aria-label', `Done: ${todo.description}`);
    box.addEventListener('change', () => void database.execute('UPDATE todos SET completed = ? WHERE id = ?', [box.checked ? 1 : 0, todo.id]));
    const text = document.createElement('span');
    text.textContent = todo.description;
    const remove = document.createElement('button');
    remove.textContent = 'Remove';
    remove.addEventListener('click', () => void database.execute('DELETE FROM todos WHERE id = ?', [todo.id]));
    item.append(box, text, remove);
    return item;
  });
  element('todos').replaceChildren(...items);
}

async function showStatus(): Promise<void> {
  const { connected, lastSyncedAt, downloadProgress, dataFlowStatus } = database.currentStatus;
  const waiting = await database.get<{ count: number }>('SELECT count(*) AS count FROM ps_crud');
  const parts = [connected ? 'connected' : 'offline'];
  if (downloadProgress) parts.push(`${Math.round(downloadProgress.downloadedFraction * 100)} % downloaded`);
  else if (lastSyncedAt) parts.push(`synced at ${lastSyncedAt.toLocaleTimeString()}`);
  if (waiting.count > 0) parts.push(`${waiting.count} change${waiting.count === 1 ? '' : 's'} waiting`);
  const failure = dataFlowStatus?.downloadError ?? dataFlowStatus?.uploadError;
  if (failure) parts.push(failure.message);
  element('status').textContent = parts.join(' · ');
}

async function showProgress(): Promise<void> {
  for (;;) {
    const response = await fetch('/demo/status');
    const { ready, message, psql } = (await response.json()) as { ready: boolean; message: string; psql: string };
    element('psql').textContent = psql;
    if (ready) return;
    element('status').textContent = message;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

showUsers();
await showProgress();
await database.init();
database.watch(`SELECT id, description, completed FROM todos WHERE list_id = ? ORDER BY created_at, id`, [LIST], {
  onResult: (result) => {
    showTodos((result.rows?._array ?? []) as Todo[]);
    void showStatus();
  },
});
database.registerListener({ statusChanged: () => void showStatus() });
element<HTMLFormElement>('add').addEventListener('submit', (event) => {
  event.preventDefault();
  const input = element<HTMLInputElement>('description');
  const description = input.value.trim();
  input.value = '';
  if (description === '') return;
  const values = [crypto.randomUUID(), LIST, description, new Date().toISOString()];
  void database.execute('INSERT INTO todos (id, list_id, description, completed, created_at) VALUES (?, ?, ?, 0, ?)', values);
});
element<HTMLInputElement>('offline').addEventListener('change', (event) => {
  const offline = (event.target as HTMLInputElement).checked;
  void (offline ? database.disconnect() : database.connect(connector));
});
await database.connect(connector);
await showStatus();
