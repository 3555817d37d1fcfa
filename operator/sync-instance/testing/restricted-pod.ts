import type { V1Container, V1PodSpec } from '@kubernetes/client-node';

/**
 * What of a pod breaks the Pod Security Standard "restricted", which includes "baseline", one sentence each; written after the text of
 * https://kubernetes.io/docs/concepts/security/pod-security-standards/, control by control, without regard to our builders.
 */
export function breaksRestricted(pod: V1PodSpec): string[] {
  const containers = [...pod.containers, ...(pod.initContainers ?? []), ...(pod.ephemeralContainers ?? [])];
  return [...breaksOfPod(pod), ...containers.flatMap((container) => breaksOfContainer(container, pod))];
}

const VOLUMES = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
];

function breaksOfPod(pod: V1PodSpec): string[] {
  const found: string[] = [];
  if (pod.hostNetwork === true || pod.hostPID === true || pod.hostIPC === true) found.push('Host namespaces');
  for (const { name, ...source } of pod.volumes ?? []) {
    if (!Object.keys(source).every((type) => VOLUMES.includes(type))) found.push(`Volume types: ${name}`);
  }
  if ((pod.securityContext?.sysctls ?? []).length > 0) found.push('Sysctls');
  if (pod.securityContext?.runAsUser === 0) found.push('Running as non-root user: pod');
  if (pod.securityContext?.windowsOptions?.hostProcess === true) found.push('HostProcess');
  if (pod.securityContext?.seLinuxOptions !== undefined) found.push('SELinux: not needed by anything of ours');
  return found;
}

function breaksOfContainer(container: V1Container, pod: V1PodSpec): string[] {
  const { name, ports = [], securityContext: own = {} } = container;
  const seccomp = own.seccompProfile ?? pod.securityContext?.seccompProfile;
  const isSeccompFine = seccomp?.type === 'RuntimeDefault' || seccomp?.type === 'Localhost';
  const added = own.capabilities?.add ?? [];
  const checks: [string, boolean][] = [
    ['Privileged containers', own.privileged !== true],
    ['Host ports', ports.every(({ hostPort = 0 }) => hostPort === 0)],
    ['/proc mount type', (own.procMount ?? 'Default') === 'Default'],
    ['Privilege escalation', own.allowPrivilegeEscalation === false],
    ['Running as non-root', (own.runAsNonRoot ?? pod.securityContext?.runAsNonRoot) === true],
    ['Running as non-root user', own.runAsUser !== 0],
    ['Seccomp', isSeccompFine],
    ['Capabilities: drop', own.capabilities?.drop?.includes('ALL') === true],
    ['Capabilities: add', added.every((capability) => capability === 'NET_BIND_SERVICE')],
  ];
  return checks.filter(([, holds]) => !holds).map(([control]) => `${control}: ${name}`);
}
