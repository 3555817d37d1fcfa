import type { V1ContainerPort } from '@kubernetes/client-node';

/** Clients and the admin API, of API workers. */
export const HTTP_PORT = { name: 'http', containerPort: 8080, protocol: 'TCP' } satisfies V1ContainerPort;
/** `/metrics`, `/status` and `/probes/*`, in every role. */
export const METRICS_PORT = { name: 'metrics', containerPort: 9464, protocol: 'TCP' } satisfies V1ContainerPort;
