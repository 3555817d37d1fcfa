/** The sync inspector: a client of this service that shows what it got. Bundled by `../bundle-page.ts`. */
import { showBuckets } from './buckets-view.ts';
import { forget, listenToForm, showForm } from './connect-form.ts';
import { byId } from './elements.ts';
import { readBuckets, readRows, readStreamTimes, readTables } from './local-database.ts';
import { writeLog } from './log-view.ts';
import { showRows, showTables } from './rows-view.ts';
import { openSession, type Session, type SessionOptions } from './session.ts';
import { showOverview, showPriorities, showStatus, showStreams, stateOf, statusText } from './status-view.ts';

/** Of the time between two refreshes at least three quarters are left to the sync itself. */
const REFRESH_MS = 100;
const REST_FACTOR = 3;

let session: Session | null = null;
let selected: string | null = null;
let wantsRefresh = false;
let isRefreshing = false;

function showProblem(text: string): void {
  byId('problem').textContent = text;
  byId('problem').hidden = text === '';
}

async function refresh(): Promise<void> {
  wantsRefresh = true;
  if (isRefreshing) return;
  isRefreshing = true;
  try {
    while (wantsRefresh && session) {
      wantsRefresh = false;
      const begin = performance.now();
      await readAndShow(session);
      const rest = Math.max(REFRESH_MS, (performance.now() - begin) * REST_FACTOR);
      await new Promise((resolve) => setTimeout(resolve, rest));
    }
  } finally {
    isRefreshing = false;
  }
}

async function readAndShow(current: Session): Promise<void> {
  const { database } = current;
  const filter = byId<HTMLInputElement>('row-filter').value.trim();
  try {
    const [buckets, tables, times] = await Promise.all([
      readBuckets(database),
      readTables(database),
      readStreamTimes(database),
    ]);
    const table = tables.find(({ name }) => name === selected) ?? tables[0] ?? null;
    const rows = table ? await readRows(database, table.name, filter) : [];
    if (session !== current) return;
    // What was chosen while this was read stays chosen, and the next refresh shows it.
    selected ??= table?.name ?? null;
    const text = statusText(current);
    showStatus(stateOf(current), text);
    showOverview(current, buckets, tables);
    showPriorities(current, buckets);
    showStreams(current, times);
    showBuckets(current.checkpoint, buckets, byId<HTMLInputElement>('bucket-filter').value.trim());
    showTables(tables, table?.name ?? null, select);
    showRows(table, rows, filter !== '');
    showFailure(current);
  } catch (error) {
    // The database closes under a refresh when the user disconnects.
    if (session === current) showProblem(`The local database cannot be read: ${(error as Error).message}`);
  }
}

function showFailure({ status }: Session): void {
  const failure = status.connected ? undefined : status.downloadError;
  showProblem(failure ? `The connection failed, and is tried again: ${failure.message}` : '');
}

function select(name: string): void {
  selected = name;
  void refresh();
}

async function connect(options: SessionOptions): Promise<void> {
  showProblem('');
  showForm(false);
  showStatus('connecting', 'connecting …');
  byId('who').textContent = `as ${options.user}`;
  byId('session').hidden = false;
  try {
    session = await openSession(options, {
      changed: () => void refresh(),
      happened: writeLog,
      refused: (code, text) => void leave(`${code}: ${text}`),
    });
    byId('disconnect').hidden = false;
    void refresh();
  } catch (error) {
    await leave(`The local database cannot be opened: ${(error as Error).message}`);
  }
}

/** Ends the session; with a reason, the service or the browser did. */
async function leave(reason?: string): Promise<void> {
  const ended = session;
  session = null;
  selected = null;
  writeLog(reason ?? 'disconnected by you', reason !== undefined);
  await ended?.close().catch(() => undefined);
  for (const id of ['overview', 'priorities', 'streams', 'stream-problems', 'buckets', 'tables', 'row-columns', 'rows'])
    byId(id).replaceChildren();
  byId('session').hidden = true;
  byId('disconnect').hidden = true;
  byId('who').textContent = '';
  showStatus(reason === undefined ? 'idle' : 'refused', reason === undefined ? 'not connected' : 'refused');
  if (reason === undefined) forget();
  showForm(true);
  showProblem(reason ?? '');
}

byId('disconnect').addEventListener('click', () => void leave());
for (const id of ['bucket-filter', 'row-filter']) byId(id).addEventListener('input', () => void refresh());
listenToForm((options) => void connect(options), showProblem);
