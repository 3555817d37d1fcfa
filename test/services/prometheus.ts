import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Lifecycle } from './contract.ts';
import { startLocalServer } from './local-server.ts';
import { prometheusPrograms } from './prometheus-programs.ts';

/** Something that serves `/metrics` on this machine. */
export type ScrapeTarget = {
  port: number;
  /** Labels of the target, as a PodMonitor gives them. */
  labels: Record<string, string>;
  /** Labels of its metrics win over those of the target. */
  honorLabels: boolean;
};

export type PrometheusOptions = {
  targets: readonly ScrapeTarget[];
  /** Rule files as objects: `{groups: […]}`. */
  rules?: object;
};

/** A sample of an instant query. */
export type Sample = { metric: Record<string, string>; value: [number, string] };

export type Prometheus = Lifecycle & {
  readonly url: string;
  /** Evaluates a query as of now. Rejects with what Prometheus says of a query that is none. */
  query(expression: string): Promise<Sample[]>;
  /** Answers of its API, by path and query. */
  api<T>(path: string): Promise<T>;
};

/** A Prometheus of the test's own, which scrapes and evaluates rules every second. */
export async function startPrometheus(options: PrometheusOptions): Promise<Prometheus> {
  const { prometheus } = await prometheusPrograms();
  const server = await startLocalServer({
    name: 'prometheus',
    command: prometheus,
    arguments: (port, folder) => [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    prepare: async (folder) => {
      await writeFile(join(folder, 'prometheus.yml'), stringify(configuration(options)));
      await writeFile(join(folder, 'rules.yml'), stringify(options.rules ?? { groups: [] }));
    },
    readyLine: /Server is ready to receive web requests/,
    stopSignal: 'SIGTERM',
  });
  const url = `http://127.0.0.1:${server.port}`;
  const api = async <T>(path: string): Promise<T> => {
    const response = await fetch(`${url}/api/v1/${path}`);
    const answer = (await response.json()) as { status: string; error?: string; data: T };
    if (answer.status !== 'success') throw new Error(`Prometheus: ${answer.error ?? response.status} (${path})`);
    return answer.data;
  };
  const query = async (expression: string) => {
    const { result } = await api<{ result: Sample[] }>(`query?query=${encodeURIComponent(expression)}`);
    return result;
  };
  return { ...server, url, api, query };
}

function configuration({ targets }: PrometheusOptions): object {
  return {
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    rule_files: ['rules.yml'],
    scrape_configs: targets.map(({ port, labels, honorLabels }, index) => ({
      job_name: `target-${index}`,
      honor_labels: honorLabels,
      static_configs: [{ targets: [`127.0.0.1:${port}`], labels }],
    })),
  };
}
