import { describe, expect, test } from 'vitest';
import type { SourcePartStatus } from '#core/platform/status/contract.ts';
import type { ObservedPod } from '../observed.ts';
import { goldenInstance } from '../testing/golden-instances.ts';
import { partStatus, playedPod, sourcePart } from '../testing/played-pods.ts';
import { sourceFacts, sourcesVerdict, type SourceFact } from './sources.ts';

const instance = goldenInstance('minimal');

/** A replicator of `default` that says this; null: it does not answer. */
const replicator = (
  name: string,
  says: Partial<SourcePartStatus> | null,
  given: Partial<ObservedPod> = {},
): ObservedPod =>
  playedPod({
    ...{ name, component: 'replicator', source: 'default' },
    report: says === null ? { problem: 'it did not answer' } : { status: partStatus({ sources: [sourcePart(says)] }) },
    ...given,
  });
const standby = { leader: false, lagBytes: null, lagSeconds: null } as const;
const factOf = (...pods: ObservedPod[]): SourceFact => sourceFacts({ instance, pods })[0]!;

describe('facts of a source', () => {
  test.each<[string, Partial<SourceFact>, ObservedPod[]]>([
    ['no pods', { state: 'Pending', leader: null, readyReplicas: 0, report: null }, []],
    ['a leader', { state: 'Streaming', leader: 'a' }, [replicator('b', standby), replicator('a', {})]],
    ['the first copy', { state: 'Copying', leader: 'a' }, [replicator('a', { state: 'Copying' })]],
    ['standbys only: nobody leads now', { state: 'Pending', leader: null }, [replicator('a', standby)]],
    [
      'a standby knows from storage that it failed',
      { state: 'Failed', leader: null },
      [replicator('a', { ...standby, state: 'Failed' })],
    ],
    ['no answer', { state: 'Unknown', leader: null, report: null }, [replicator('a', null)]],
    [
      'two say that they lead: the one that does not end is right',
      { leader: 'new', state: 'CatchingUp' },
      [replicator('old', {}, { isTerminating: true }), replicator('new', { state: 'CatchingUp' })],
    ],
    ['one that ends leads on', { leader: 'old' }, [replicator('old', {}, { isTerminating: true })]],
    [
      'ready ones are counted',
      { readyReplicas: 1 },
      [replicator('a', {}), replicator('b', standby, { isReady: false })],
    ],
    [
      'pods of others do not count',
      { state: 'Pending', readyReplicas: 0 },
      [replicator('a', {}, { source: 'other' }), replicator('b', {}, { component: 'api' })],
    ],
    ['it speaks of another source', { state: 'Unknown', report: null }, [replicator('a', { tag: 'other' })]],
  ])('%s', (_, expected, pods) => {
    expect(factOf(...pods)).toMatchObject({ name: 'default', ...expected });
  });

  test('one for each source of the resource, in its order', () => {
    const { spec } = goldenInstance('full');
    const facts = sourceFacts({ instance: { ...instance, spec }, pods: [] });
    expect(facts.map(({ name }) => name)).toEqual(spec.sources.map(({ name }) => name));
  });
});

describe('verdict', () => {
  const fact = (name: string, state: SourceFact['state'], error: SourcePartStatus['error'] = null): SourceFact => ({
    ...{ name, state, readyReplicas: 1, leader: null },
    report: sourcePart({ tag: name, state, error }),
  });

  test.each<[string, string, string, SourceFact[], boolean]>([
    ['all stream', 'True', 'Streaming', [fact('a', 'Streaming'), fact('b', 'Streaming')], true],
    ['all stream, and nobody knows of a sync config', 'True', 'Streaming', [fact('a', 'Streaming')], false],
    ['no sync config yet', 'False', 'NoSyncConfig', [fact('a', 'Pending')], false],
    ['nobody leads', 'False', 'NoLeader', [fact('a', 'Pending')], true],
    ['copying', 'False', 'Copying', [fact('a', 'Streaming'), fact('b', 'Copying')], true],
    ['behind', 'False', 'CatchingUp', [fact('a', 'CatchingUp')], true],
    ['no answer', 'Unknown', 'NotKnown', [fact('a', 'Unknown'), fact('b', 'Streaming')], true],
    ['what is known to be wrong wins', 'False', 'Copying', [fact('a', 'Unknown'), fact('b', 'Copying')], true],
    ['failed, also without a sync config', 'False', 'SourceFailed', [fact('a', 'Pending'), fact('b', 'Failed')], false],
  ])('%s: %s, %s', (_, status, reason, facts, hasSyncConfig) => {
    expect(sourcesVerdict(facts, hasSyncConfig)).toMatchObject({ status, reason });
  });

  test('names the sources that it speaks of, and no others', () => {
    const facts = [fact('a', 'Unknown'), fact('b', 'Copying'), fact('c', 'Streaming'), fact('d', 'Copying')];
    expect(sourcesVerdict(facts, true).message).toBe('The first copy is on its way: b, d.');
  });

  test('says why a source failed', () => {
    const error = { code: 'PSYNC_S1105', message: 'The publication is missing.' };
    expect(sourcesVerdict([fact('a', 'Failed', error)], true).message).toBe(
      'Source a: [PSYNC_S1105] The publication is missing.',
    );
    expect(sourcesVerdict([fact('a', 'Failed')], true).message).toContain('see the log of its pods');
  });
});
