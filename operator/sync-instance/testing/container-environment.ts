import type { V1Container } from '@kubernetes/client-node';

/**
 * What the kubelet makes of a container's variables: values of Secrets by name and key, and `$(NAME)` in text for variables that
 * stand above. Throws when a value is missing, as the container would not start.
 */
export function containerEnvironment(
  env: NonNullable<V1Container['env']>,
  secretValue: (name: string, key: string, variable: string) => string,
): Record<string, string> {
  const found: Record<string, string> = {};
  for (const { name, value, valueFrom } of env) {
    const reference = valueFrom?.secretKeyRef;
    if (reference) found[name] = secretValue(reference.name ?? '', reference.key, name);
    else found[name] = (value ?? '').replace(/\$\(([\w.-]+)\)/g, (whole, other: string) => found[other] ?? whole);
  }
  return found;
}
