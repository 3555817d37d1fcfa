import { type Static, Type } from 'typebox';
import { annotations, labels, namespaceName, objectName, optionalSecretKeyRef } from './metadata-names.ts';
import { podSettings } from './pods.ts';
import { choice, count, flag, intOrString, list, rule, section, text } from './schema-parts.ts';

const Autoscaling = section(
  'The operator sets the number of API workers by the connections that they report, and by their CPU if asked. It leaves `replicas` alone, and counts instead of it.',
  {
    minReplicas: count('API workers at least.', { minimum: 1, maximum: 100, default: 2 }),
    maxReplicas: count('API workers at most.', { minimum: 1, maximum: 100, default: 10 }),
    targetConnections: count('Connections per API worker that are aimed at.', {
      minimum: 1,
      maximum: 10_000,
      default: 100,
    }),
    targetCPUPercent: Type.Optional(
      count('CPU, in percent of what is requested, that is aimed at. Needs metrics-server and a request for CPU.', {
        minimum: 1,
        maximum: 1000,
      }),
    ),
    scaleDownDelaySeconds: count('Seconds for which fewer API workers must have been enough before there are fewer.', {
      minimum: 0,
      maximum: 3600,
      default: 300,
    }),
  },
  {
    rules: [rule('self.minReplicas <= self.maxReplicas', 'minReplicas must not be greater than maxReplicas.')],
  },
);

const Limits = section(
  'Limits of each connection and process (O-58 to O-60).',
  {
    maxBucketsPerConnection: count('Buckets that one connection may have.', {
      minimum: 1,
      maximum: 100_000,
      default: 1000,
    }),
    maxParameterQueryResults: count('Results of parameter queries of one connection, before they are made unique.', {
      minimum: 1,
      maximum: 1_000_000,
      default: 1000,
    }),
    maxDataFetchConcurrency: count('Reads from storage at once in each API worker.', {
      minimum: 1,
      maximum: 1000,
      default: 10,
    }),
  },
  { default: {} },
);

const Service = section(
  'The Service in front of the API workers.',
  {
    type: choice('Type of the Service.', ['ClusterIP', 'NodePort', 'LoadBalancer'], { default: 'ClusterIP' }),
    port: count('Port of the Service.', { minimum: 1, maximum: 65_535, default: 80 }),
    annotations: annotations('Annotations of the Service.'),
    labels: labels('Further labels of the Service.'),
  },
  { default: {} },
);

const hostname = (description: string) =>
  text(description, {
    maxLength: 253,
    pattern: '^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$',
  });

const Ingress = section('An Ingress to the API workers. Streams stay open for long: allow for that in its timeouts.', {
  className: Type.Optional(objectName('Ingress class. Default: that of the cluster.')),
  host: hostname('Host name under which clients connect.'),
  path: text('Start of the path. All paths below it lead to the API workers.', {
    maxLength: 1024,
    pattern: '^/[-A-Za-z0-9/._~%]*$',
    default: '/',
    rules: [
      rule(
        "!self.matches('(?i)//|/[.]{1,2}(/|$)|%2f')",
        'The path must not contain "//", "%2f", or a part that is "." or "..".',
      ),
    ],
  }),
  tlsSecretName: Type.Optional(objectName('Secret with certificate and key. Without it plain http.')),
  annotations: annotations('Annotations of the Ingress.'),
});

const HttpRoute = section('An HTTPRoute of the Gateway API to the API workers.', {
  parentRefs: list(
    'Gateways that it attaches to.',
    section('A gateway.', {
      name: objectName('Name of the Gateway.'),
      namespace: Type.Optional(namespaceName('Its namespace. Default: that of the instance.')),
      sectionName: Type.Optional(objectName('Its listener. Default: all.')),
    }),
    { minItems: 1, maxItems: 32 },
  ),
  hostnames: list('Host names under which clients connect. None: those of the gateway.', hostname('A host name.'), {
    maxItems: 16,
    default: [],
  }),
});

const PodDisruptionBudget = section(
  'How many API workers may be away on purpose, for example while nodes are drained.',
  {
    maxUnavailable: intOrString('A number or a share such as `25%`.', {
      pattern: '^[0-9]+%?$',
      maxLength: 6,
      default: 1,
      rules: [
        rule(
          "type(self) == int ? self >= 1 : self.matches('^([1-9][0-9]?|100)%$')",
          'maxUnavailable must be a number of at least 1 or a share from 1% to 100%: with 0 no node could ever be drained.',
        ),
      ],
    }),
  },
  { default: {} },
);

export const Api = section(
  'The API workers, which serve clients and the admin API.',
  {
    replicas: count('API workers, unless `autoscaling` is given. Also set by `kubectl scale`, an HPA or KEDA.', {
      minimum: 0,
      maximum: 100,
      default: 2,
    }),
    autoscaling: Type.Optional(Autoscaling),
    maxConnections: count('Clients that one API worker takes at once. It refuses more.', {
      minimum: 1,
      maximum: 10_000,
      default: 200,
    }),
    limits: Limits,
    adminTokensSecretRef: optionalSecretKeyRef('Secret with further tokens for the admin API, one per line.'),
    inspector: flag('Serve the sync inspector at `/inspector`.', false),
    service: Service,
    ingress: Type.Optional(Ingress),
    httpRoute: Type.Optional(HttpRoute),
    terminationGracePeriodSeconds: count('Seconds over which a worker that ends sends its clients to others.', {
      minimum: 5,
      maximum: 3600,
      default: 120,
    }),
    podDisruptionBudget: PodDisruptionBudget,
    ...podSettings,
  },
  {
    default: {},
    rules: [
      // `replicas` is the scale subresource: an HPA beside our own autoscaling would be ignored without a word.
      rule(
        '!has(self.autoscaling) || !has(oldSelf.autoscaling) || self.replicas == oldSelf.replicas',
        'api.autoscaling sets the number of API workers: change minReplicas and maxReplicas, or remove api.autoscaling to scale by hand or by an HPA.',
      ),
      rule(
        '!has(self.autoscaling) || self.autoscaling.targetConnections <= self.maxConnections',
        'autoscaling.targetConnections must not be greater than api.maxConnections: workers would refuse clients before there are more.',
      ),
    ],
  },
);

/** @public */
export type AutoscalingSpec = Static<typeof Autoscaling>;
