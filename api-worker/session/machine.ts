/** The states and events of a sync session. SPEC.md explains the table. */
export type State = 'resolving' | 'loading' | 'sending' | 'blocked' | 'idle' | 'ended';
export type Event = 'woken' | 'resolved' | 'loaded' | 'page' | 'drained' | 'failed' | 'ended';
export type Reaction = 'go on' | 'later' | 'finish' | 'nothing' | 'impossible';

/**
 * What an event means in a state. `go on`: look what there is to do. `later`: it was noted and is looked at when the present wait ends.
 * `finish`: release everything. `impossible`: would be a bug.
 */
export const TABLE: Readonly<Record<State, Readonly<Record<Event, Reaction>>>> = {
  resolving: {
    woken: 'later',
    resolved: 'go on',
    loaded: 'impossible',
    page: 'later',
    drained: 'later',
    failed: 'finish',
    ended: 'finish',
  },
  loading: {
    woken: 'later',
    resolved: 'impossible',
    loaded: 'go on',
    page: 'later',
    drained: 'later',
    failed: 'finish',
    ended: 'finish',
  },
  sending: {
    woken: 'go on',
    resolved: 'impossible',
    loaded: 'impossible',
    page: 'go on',
    drained: 'go on',
    failed: 'finish',
    ended: 'finish',
  },
  blocked: {
    woken: 'later',
    resolved: 'impossible',
    loaded: 'impossible',
    page: 'later',
    drained: 'go on',
    failed: 'finish',
    ended: 'finish',
  },
  idle: {
    woken: 'go on',
    resolved: 'impossible',
    loaded: 'impossible',
    page: 'nothing',
    drained: 'nothing',
    failed: 'finish',
    ended: 'finish',
  },
  ended: {
    woken: 'nothing',
    resolved: 'nothing',
    loaded: 'nothing',
    page: 'nothing',
    drained: 'nothing',
    failed: 'nothing',
    ended: 'nothing',
  },
};
