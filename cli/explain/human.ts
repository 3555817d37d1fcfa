/** An explanation as people read it in a terminal: the answer first, then everything it follows from. */
import type { AccessReport, DefinitionReport, RuleReport, StreamReport } from '#core/sync-config/explain/contract.ts';
import { describeAccessReason, describeRowReason, listed } from '#core/sync-config/explain/describe.ts';
import { quoteName } from '#core/sync-config/explain/print-expression.ts';
import { nameOf } from './choose-table.ts';
import type { ClientReport, Explanation, StoredReport } from './contract.ts';

/** Columns of a row in one line. */
const MOST_COLUMNS = 20;

export function humanExplanation(explanation: Explanation): string {
  const { verdict } = explanation;
  const sections = [
    [verdict.text, ...verdict.because.map((text) => `  ${text}`)],
    section('Row in the source', sourceLines(explanation)),
    section('Queries', queryLines(explanation)),
    section(`Storage, checkpoint ${explanation.checkpoint}, version ${explanation.version}`, storageLines(explanation)),
    section(`Clients of ${explanation.user}`, clientLines(explanation)),
  ];
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;

const section = (title: string, lines: readonly string[]): string[] =>
  lines.length === 0 ? [] : [title, ...lines.map((line) => `  ${line}`)];

function sourceLines({ source, table }: Explanation): string[] {
  const { key, reason, columns, searched, others } = source;
  const lines = table === null ? [] : [`${nameOf(table)}${key === null ? '' : `, key ${key}`}`];
  if (reason !== null) lines.push(reason);
  if (columns.length > 0) {
    const shown = columns.slice(0, MOST_COLUMNS).map(({ name, value }) => `${quoteName(name)} = ${value}`);
    lines.push(columns.length > MOST_COLUMNS ? `${shown.join(', ')}, …` : shown.join(', '));
  }
  if (searched.length > 0 && key === null) lines.push(`searched ${searched.join(', ')}`);
  if (others.length > 0)
    lines.push(`Other rows with this id: ${listed(others)}. Give the key to ask about one of them.`);
  return lines;
}

function queryLines(explanation: Explanation): string[] {
  const { queries, session } = explanation;
  if (queries === null) return [];
  const lines = queries.streams.flatMap((stream) => streamLines(stream, explanation));
  for (const { name, streams, entries, because } of queries.lookups) {
    const asking = `asked by ${listed(streams)}`;
    const gives = entries.map(({ key, values }) => `${key} gives ${values}`);
    const why = because.length === 0 ? 'not known' : because.map(describeRowReason).join('; ');
    lines.push(
      `lookup ${name}, ${asking}: ${gives.length === 0 ? `the row gives nothing, because ${why}` : listed(gives)}`,
    );
  }
  if (queries.otherStreams.length > 0) lines.push(`do not read the table: ${listed(queries.otherStreams)}`);
  if (session.buckets !== null) lines.push(`the session has ${count(session.buckets, 'bucket')} in all`);
  return lines;
}

function streamLines(stream: StreamReport, explanation: Explanation): string[] {
  const how = stream.subscribed.map((through) => (through === 'default' ? 'by default' : `subscription ${through}`));
  const title = `${stream.legacy ? 'bucket definition' : 'stream'} ${quoteName(stream.name)}`;
  return [
    `${title} (${how.length === 0 ? 'not subscribed' : how.join(', ')})`,
    ...stream.errors.map((error) => `  ${error}`),
    ...stream.definitions.flatMap((definition) => definitionLines(definition, explanation)).map((line) => `  ${line}`),
  ];
}

function definitionLines(definition: DefinitionReport, { prefixes, user }: Explanation): string[] {
  const prefix = prefixes[definition.identity] ?? definition.name;
  return [
    ...definition.rules.flatMap((rule) => ruleLines(rule, prefix)),
    ...definition.access.flatMap((access) => accessLines(access, prefix, user)),
  ];
}

function ruleLines(rule: RuleReport, prefix: string): string[] {
  const { objectType, objectId, conditions, compared, keys, keyCount, because } = rule;
  const asks = [...conditions, ...compared.map((value) => `${value} = …`)].join(' AND ');
  const query = `query of ${objectType}${asks === '' ? '' : ` where ${asks}`}`;
  if (keyCount > 0) {
    const buckets = listed(
      keys.map((key) => prefix + key),
      keyCount,
    );
    return [query, `  takes the row as ${objectType}/${objectId}, for bucket ${buckets}`];
  }
  return [query, ...because.map((reason) => `  does not take it: ${describeRowReason(reason)}`)];
}

function accessLines({ keys, keyCount, asked, because }: AccessReport, prefix: string, user: string): string[] {
  const has =
    keyCount === 0
      ? 'no bucket of it'
      : listed(
          keys.map((key) => prefix + key),
          keyCount,
        );
  return [
    `  ${user} has ${has}`,
    ...because.map((reason) => `  because ${describeAccessReason(reason, user)}`),
    ...asked.map(({ lookup, keys: given, keyCount: count, answers, answerCount }) => {
      const answer = answerCount === 0 ? 'nothing' : listed(answers, answerCount);
      return `  lookup ${lookup} for ${count === 0 ? 'nothing' : listed(given, count)}: ${answer}`;
    }),
  ];
}

function storageLines({ stored, replication }: Explanation): string[] {
  const lines = stored.map(storedLine);
  if (replication === null) return lines;
  const { position, lastCommitAt, snapshot, tableState, findings } = replication;
  const last = lastCommitAt === null ? 'nothing committed yet' : `last commit ${lastCommitAt} at ${position}`;
  const copy = snapshot === null || snapshot === 'done' ? '' : `; the first copy is ${snapshot}`;
  const table = tableState === null || tableState === 'done' ? '' : `; the copy of this table is ${tableState}`;
  return [...lines, `replication: ${last}${copy}${table}`, ...findings];
}

function storedLine(stored: StoredReport): string {
  const { bucket, held, state, op, checksum, current, clearedUpTo } = stored;
  const whose = held ? '' : ' (not of this session)';
  switch (state) {
    case 'put': {
      const version = current === null ? '' : current ? ', as the source has it' : ', not what the source has now';
      return `${bucket}${whose}: PUT, op ${op}, checksum ${checksum}${version}`;
    }
    case 'removed':
      return `${bucket}${whose}: REMOVE, op ${op}, checksum ${checksum}`;
    case 'absent':
      return `${bucket}${whose}: no operation of the row${clearedUpTo === null ? '' : `; operations up to ${clearedUpTo} were compacted (CLEAR)`}`;
    case 'unfinished':
      return `${bucket}${whose}: too large to look for the row in all of it`;
  }
}

function clientLines({ clients }: Explanation): string[] {
  return [...clients.clients.map(clientLine), ...clients.unknown.map((what) => `Not known: ${what}`)];
}

function clientLine(client: ClientReport): string {
  const { clientId, connectedSince, announced, completed, writeCheckpoint, waitingFor, buckets } = client;
  const parts =
    connectedSince === null
      ? ['no session on this worker']
      : [
          `connected since ${connectedSince}`,
          count(buckets ?? 0, 'bucket'),
          `checkpoint ${announced ?? 'none'} announced, ${completed ?? 'none'} sent completely`,
        ];
  parts.push(
    `write checkpoint ${writeCheckpoint ?? 'none'}${waitingFor === null ? '' : `, waiting for ${waitingFor}`}`,
  );
  return `${JSON.stringify(clientId)}: ${parts.join(', ')}`;
}
