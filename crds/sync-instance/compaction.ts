import { Type } from 'typebox';
import { podSettings } from './pods.ts';
import { count, flag, rule, section, text } from './schema-parts.ts';

/** A field of a cron schedule as Kubernetes reads it: numbers or names, ranges, steps, lists. */
function cronField(value: string): string {
  const part = `([*?]|(${value})(-(${value}))?)(/[1-9][0-9]?)?`;
  return `${part}(,${part})*`;
}

const months = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const days = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];

const cron = [
  cronField('[0-5]?[0-9]'),
  cronField('[01]?[0-9]|2[0-3]'),
  cronField('0?[1-9]|[12][0-9]|3[01]'),
  cronField(`0?[1-9]|1[0-2]|${months.join('|')}`),
  cronField(`[0-6]|${days.join('|')}`),
].join(' +');

/** The schedule with numbers in place of names, as an expression. */
const inNumbers = [...months.map((name, index) => [name, index + 1]), ...days.map((name, index) => [name, index])]
  .map(([name, number]) => `.replace('${name}', '${number}')`)
  .join('');

export const Compaction = section(
  'Compaction of bucket storage, by a CronJob: shortens the history that new clients download.',
  {
    schedule: text('When it runs, as a cron schedule: minute, hour, day of the month, month, day of the week.', {
      maxLength: 100,
      default: '0 3 * * *',
      rules: [
        rule(
          `self.matches('(?i)^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|${cron})$')`,
          'schedule must be a cron schedule of five fields, such as "0 3 * * *", or one of @hourly, @daily, @weekly, @monthly, @yearly.',
        ),
        rule(
          `self.upperAscii()${inNumbers}.findAll('[0-9]{1,2}-[0-9]{1,2}').all(range, int(range.split('-')[0]) <= int(range.split('-')[1]))`,
          'A range of the schedule must not begin beyond its end: a week begins with SUN, so SAT-MON is SAT,SUN,MON.',
        ),
      ],
    }),
    timeZone: Type.Optional(
      text('Time zone of the schedule, for example `Europe/Vienna`. Default: that of the cluster.', {
        maxLength: 64,
        pattern: '^[A-Za-z0-9_+/-]+$',
      }),
    ),
    suspend: flag('No further runs.', false),
    timeoutSeconds: count('Seconds after which a run is ended; the next one goes on.', {
      minimum: 60,
      maximum: 604_800,
      default: 21_600,
    }),
    ...podSettings,
  },
  { default: {} },
);
