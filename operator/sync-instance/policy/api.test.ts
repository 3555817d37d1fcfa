import { describe, expect, test } from 'vitest';
import type { LiveDeployment } from '../observed.ts';
import { apiVerdict, isRolledOut } from './api.ts';

/** Rolled out with two pods. */
function deployment(status: Partial<NonNullable<LiveDeployment['status']>> = {}, replicas = 2): LiveDeployment {
  return {
    metadata: { name: 'demo-api', generation: 3 },
    spec: { replicas },
    status: {
      ...{ observedGeneration: 3, replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2 },
      ...status,
    },
  };
}
const { status: _, ...unseen } = deployment();

describe('ApiAvailable', () => {
  test.each<[string, string, string, LiveDeployment | null, number]>([
    ['some are ready', 'True', 'Available', deployment({ readyReplicas: 1 }), 2],
    ['ready and not to be', 'False', 'ScaledToZero', deployment(), 0],
    ['none is ready', 'False', 'NoReadyWorkers', deployment({ readyReplicas: 0 }), 2],
    ['not seen by its controller', 'False', 'NoReadyWorkers', unseen, 2],
    ['no Deployment', 'False', 'NoReadyWorkers', null, 2],
  ])('%s: %s, %s', (_, status, reason, live, wanted) => {
    expect(apiVerdict(live, wanted)).toMatchObject({ status, reason });
  });

  test('says why no pod can be made', () => {
    const quota = { type: 'ReplicaFailure', status: 'True', message: 'exceeded quota: pods' };
    const live = deployment({ readyReplicas: 0, conditions: [quota] });
    expect(apiVerdict(live, 2).message).toBe('No API worker is ready. exceeded quota: pods');
  });

  test('figures do not change the message', () => {
    expect(apiVerdict(deployment({ readyReplicas: 1 }), 2)).toEqual(apiVerdict(deployment(), 3));
  });
});

describe('rolled out', () => {
  test.each<[string, boolean, LiveDeployment, boolean]>([
    ['all pods are new', true, deployment(), true],
    ['it has not what is desired', false, deployment(), false],
    ['the controller has not seen it', false, deployment({ observedGeneration: 2 }), true],
    ['the controller has never seen it', false, unseen, true],
    ['an old pod is left', false, deployment({ replicas: 3 }), true],
    ['a new pod is missing', false, deployment({ updatedReplicas: 1, replicas: 1 }), true],
    ['one is available: enough', true, deployment({ availableReplicas: 1 }), true],
    ['none is available', false, deployment({ availableReplicas: 0 }), true],
    ['none is to be', true, deployment({ replicas: 0, updatedReplicas: 0, availableReplicas: 0 }, 0), true],
  ])('%s: %s', (_, expected, live, isCurrent) => {
    expect(isRolledOut(live, isCurrent)).toBe(expected);
  });
});
