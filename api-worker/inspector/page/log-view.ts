/** What happened on this connection, newest first, bounded. */
import { byId, create, time } from './elements.ts';

const MAX_ENTRIES = 200;

export function writeLog(text: string, isProblem = false): void {
  const entry = create('li', isProblem ? { class: 'bad' } : {}, create('time', {}, time(new Date())), ` ${text}`);
  byId('log').prepend(entry);
  byId('log').children[MAX_ENTRIES]?.remove();
}
