import { type Static, Type } from 'typebox';
import { map, rule, section, text } from './schema-parts.ts';

/**
 * Names, and references by name. References never leave the namespace of the instance: whoever may write a SyncInstance
 * there could otherwise read the secrets of everybody else.
 */

/** Longest name of an instance, so that the names of all objects made from it stay valid (Jobs: 63 characters). */
const maxInstanceNameLength = 40;
const maxSourceNameLength = 20;

/** A DNS label that begins with a letter, as names of Services must and tags of the sync config too. */
const dnsLabel = '^[a-z]([-a-z0-9]*[a-z0-9])?$';

export const instanceNameRules = [
  rule(
    `self.metadata.name.size() <= ${maxInstanceNameLength}`,
    `The name must have at most ${maxInstanceNameLength} characters: names of other objects are made from it.`,
  ),
  rule(
    `self.metadata.name.matches('${dnsLabel}')`,
    'The name must consist of lower-case letters, digits and hyphens, begin with a letter and not end in a hyphen.',
  ),
];

export const SourceName = text(
  'Name of the source, which is also its tag in the sync config: `FROM name.schema.table`. The tag of tables without prefix is `default`.',
  {
    maxLength: maxSourceNameLength,
    rules: [
      rule(
        `self.matches('${dnsLabel}')`,
        'The name of a source must consist of lower-case letters, digits and hyphens, begin with a letter and not end in a hyphen.',
      ),
    ],
  },
);

const dnsSubdomain = '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*';

/** The name of another Kubernetes object. */
export const objectName = (description: string) => text(description, { maxLength: 253, pattern: `^${dnsSubdomain}$` });

/** The name of a namespace. */
export const namespaceName = (description: string) =>
  text(description, { maxLength: 63, pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$' });

const dataKey = { maxLength: 253, pattern: '^[-._a-zA-Z0-9]+$' };

/** A value in a Secret of the same namespace. */
export const secretKeyRef = (description: string) =>
  section(description, {
    name: objectName('Name of a Secret in the namespace of the instance.'),
    key: text('Key in the Secret.', dataKey),
  });

/** A value in a ConfigMap of the same namespace. */
export const configMapKeyRef = (description: string, defaultKey?: string) =>
  section(description, {
    name: objectName('Name of a ConfigMap in the namespace of the instance.'),
    key: text('Key in the ConfigMap.', { ...dataKey, ...(defaultKey === undefined ? {} : { default: defaultKey }) }),
  });

export const optionalSecretKeyRef = (description: string) => Type.Optional(secretKeyRef(description));

/** An object by its name only, such as a Secret with credentials for a registry. */
export const localRef = (description: string) => section(description, { name: objectName('Name of the object.') });

const qualifiedName = `^(${dnsSubdomain}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`;
/** Every key of a map is a name as Kubernetes wants it for labels and annotations. */
const qualifiedKeys = `self.all(key, key.size() <= 253 && key.matches(r'${qualifiedName}'))`;

/** The key of a label. */
export const labelKey = (description: string) => text(description, { maxLength: 253, pattern: qualifiedName });

/** The value of a label; may be empty. */
export const labelValue = (description: string) =>
  text(description, { minLength: 0, maxLength: 63, pattern: '^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$' });

/** Labels that something must have. */
export const matchLabels = (description: string, bounds: { default?: object } = {}) =>
  map(description, labelValue('Value of the label.'), {
    maxProperties: 20,
    ...bounds,
    rules: [rule(qualifiedKeys, 'A label key must look like "name" or "example.com/name".')],
  });

/** Labels for objects that the operator makes, without those that it sets itself and selects by. */
export const labels = (description: string) =>
  map(description, labelValue('Value of the label.'), {
    maxProperties: 20,
    default: {},
    rules: [
      rule(qualifiedKeys, 'A label key must look like "name" or "example.com/name".'),
      rule(
        "self.all(key, !key.startsWith('app.kubernetes.io/') && !key.startsWith('millrace.dev/'))",
        'Labels of app.kubernetes.io and millrace.dev are set by the operator, which selects by them.',
      ),
    ],
  });

/** Annotations for objects that the operator makes, without its own. */
export const annotations = (description: string) =>
  map(description, text('Value of the annotation.', { minLength: 0, maxLength: 8192 }), {
    maxProperties: 40,
    default: {},
    rules: [
      rule(qualifiedKeys, 'An annotation key must look like "name" or "example.com/name".'),
      rule("self.all(key, !key.startsWith('millrace.dev/'))", 'Annotations of millrace.dev are set by the operator.'),
    ],
  });

export type SecretKeyRef = Static<ReturnType<typeof secretKeyRef>>;
