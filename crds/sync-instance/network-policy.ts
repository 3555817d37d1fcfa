import { Type } from 'typebox';
import { labelSelector } from './scheduling.ts';
import { flag, list, rule, section, text } from './schema-parts.ts';

const cidr = (description: string) =>
  text(description, {
    maxLength: 43,
    rules: [rule('isCIDR(self)', 'The address must be a range in CIDR notation, such as 10.0.0.0/8.')],
  });

const Peer = section(
  'Who may connect, as in a NetworkPolicy.',
  {
    podSelector: Type.Optional(labelSelector('Pods with these labels.')),
    namespaceSelector: Type.Optional(labelSelector('Namespaces with these labels.')),
    ipBlock: Type.Optional(
      section(
        'Addresses.',
        {
          cidr: cidr('A range of addresses.'),
          except: Type.Optional(
            list('Ranges within it that are left out.', cidr('A range of addresses.'), { maxItems: 20 }),
          ),
        },
        {
          rules: [
            rule(
              '!has(self.except) || !isCIDR(self.cidr) || self.except.all(part, !isCIDR(part) || (cidr(self.cidr).containsCIDR(part) && cidr(self.cidr).prefixLength() < cidr(part).prefixLength()))',
              'The ranges of except must lie within cidr and be smaller.',
            ),
          ],
        },
      ),
    ),
  },
  {
    rules: [
      rule(
        'has(self.ipBlock) ? !has(self.podSelector) && !has(self.namespaceSelector) : has(self.podSelector) || has(self.namespaceSelector)',
        'Give either ipBlock, or podSelector, namespaceSelector or both.',
      ),
    ],
  },
);

export const NetworkPolicy = section(
  'NetworkPolicies of the parts.',
  {
    enabled: flag('Make them.', true),
    apiFrom: list('Who may connect to the API workers. None: everybody.', Peer, { maxItems: 20, default: [] }),
    metricsFrom: list('Who may read metrics, probes and status. None: everybody in the cluster.', Peer, {
      maxItems: 20,
      default: [],
    }),
  },
  { default: {} },
);
