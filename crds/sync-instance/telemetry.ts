import { labels } from './metadata-names.ts';
import { choice, count, flag, section } from './schema-parts.ts';

export const Telemetry = section(
  'Logs and metrics. Nothing is ever sent to anybody.',
  {
    podMonitor: section(
      'A PodMonitor of the Prometheus operator for all parts.',
      {
        enabled: flag('Make it.', false),
        labels: labels('Labels by which Prometheus selects it, for example `release: kube-prometheus-stack`.'),
        intervalSeconds: count('Seconds between scrapes.', { minimum: 5, maximum: 3600, default: 30 }),
      },
      { default: {} },
    ),
    logLevel: choice(
      'Least severe level that is logged.',
      ['silly', 'debug', 'verbose', 'http', 'info', 'warn', 'error'],
      { default: 'info' },
    ),
    logFormat: choice('Form of log lines.', ['json', 'text'], { default: 'json' }),
  },
  { default: {} },
);
