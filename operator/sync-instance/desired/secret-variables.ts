import type { V1EnvVar } from '@kubernetes/client-node';
import { Scalar } from 'yaml';
import type { SecretKeyRef } from '#crds/sync-instance/metadata-names.ts';
import type { ValueReference } from './contract.ts';

/** How the text of a variable is read: as it is, as JSON, or as a list of lines (core/platform/config/document.ts). */
type Cast = 'json' | 'lines';

/** The secrets that one configuration file names, in the order of their use. */
export interface SecretVariables {
  /**
   * `!env NAME` for the file; undefined when there is no reference.
   *
   * @param owner what the secret belongs to, such as `source my-db`
   * @param field which secret of the owner
   */
  use(owner: string, field: string, reference: SecretKeyRef | undefined, cast?: Cast): Scalar | undefined;
  /** `!env NAME` for text composed of other variables: `$(NAME)` stands for the value of one that was used before. */
  compose(owner: string, field: string, text: string, cast?: Cast): Scalar;
  env(): V1EnvVar[];
  references(): ValueReference[];
}

export function secretVariables(): SecretVariables {
  const env: V1EnvVar[] = [];
  const references: ValueReference[] = [];
  return {
    use(owner, field, reference, cast) {
      if (reference === undefined) return undefined;
      const { name, key } = reference;
      const variable = variableName(owner, field);
      env.push({ name: variable, valueFrom: { secretKeyRef: { name, key } } });
      references.push({ kind: 'Secret', name, key, variable });
      return variableNode(variable, cast);
    },
    compose(owner, field, text, cast) {
      const variable = variableName(owner, field);
      env.push({ name: variable, value: text });
      return variableNode(variable, cast);
    },
    env: () => [...env],
    references: () => [...references],
  };
}

/**
 * `PS_SOURCE_MY_DB__PASSWORD`. Names of sources are DNS labels and neither begin nor end with a hyphen, so that the last two
 * underscores in a row end the owner, and no two secrets share a variable.
 */
export function variableName(owner: string, field: string): string {
  const upper = (text: string): string => text.replace(/[^A-Za-z0-9]/g, '_').toUpperCase();
  return `PS_${upper(owner)}__${upper(field)}`;
}

function variableNode(name: string, cast: Cast | undefined): Scalar {
  const node = new Scalar(cast === undefined ? name : `${name}::${cast}`);
  node.tag = '!env';
  return node;
}
