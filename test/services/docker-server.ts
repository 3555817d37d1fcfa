import type { StartedTestContainer } from 'testcontainers';
import { type Lifecycle, dockerSwitch } from './contract.ts';
import { freePort } from './free-port.ts';

/** How to run one server in a container. The port is the same inside and outside, and survives restarts. */
export type DockerRecipe = {
  name: string;
  image: string;
  command(port: number): string[];
  environment?: Record<string, string>;
};

export type DockerServer = Lifecycle & { readonly host: string; readonly port: number };

let daemon: Promise<boolean> | undefined;

/** Whether containers can be used: a Docker daemon answers and nobody switched it off. Asked once per process. */
export function dockerAnswers(): Promise<boolean> {
  daemon ??= process.env[dockerSwitch] === 'off' ? Promise.resolve(false) : askDaemon();
  return daemon;
}

async function askDaemon(): Promise<boolean> {
  const { getContainerRuntimeClient } = await import('testcontainers');
  return getContainerRuntimeClient().then(
    () => true,
    () => false,
  );
}

/**
 * Starts a server in a container; testcontainers' reaper removes it when this process ends.
 * Undefined when no daemon answers or the image cannot be had: the caller goes on with a local program.
 */
export async function startDockerServer(recipe: DockerRecipe): Promise<DockerServer | undefined> {
  if (!(await dockerAnswers())) return undefined;
  try {
    return await startContainer(recipe, await freePort());
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    process.stderr.write(`No container of ${recipe.image} (${reason}); looking for a local ${recipe.name} instead.\n`);
    return undefined;
  }
}

async function startContainer(recipe: DockerRecipe, port: number): Promise<DockerServer> {
  const { GenericContainer, Wait } = await import('testcontainers');
  const lines: string[] = [];
  const container = await new GenericContainer(recipe.image)
    .withCommand(recipe.command(port))
    .withEnvironment(recipe.environment ?? {})
    .withExposedPorts({ container: port, host: port })
    .withLogConsumer((stream) => {
      stream.on('data', (chunk: Buffer) => {
        lines.push(chunk.toString().trimEnd());
        if (lines.length > 200) lines.shift();
      });
    })
    .withWaitStrategy(Wait.forListeningPorts())
    .withStartupTimeout(120_000)
    .start();
  return dockerServer(container, port, () => lines.join('\n'));
}

function dockerServer(container: StartedTestContainer, port: number, log: () => string): DockerServer {
  let running = true;
  /** The engine's own handle: the one of testcontainers stops a container only once. */
  const handle = async () => {
    const { getContainerRuntimeClient } = await import('testcontainers');
    return (await getContainerRuntimeClient()).container.getById(container.getId());
  };
  const start = async () => {
    if (running) return;
    // Also starts a stopped container, and waits for its port.
    await container.restart();
    running = true;
  };
  const stop = async () => {
    if (!running) return;
    await (await handle()).stop({ t: 60 });
    running = false;
  };
  const kill = async () => {
    if (!running) return;
    const docker = await handle();
    await docker.kill();
    await docker.wait();
    running = false;
  };
  const close = async () => {
    running = false;
    await (await handle()).remove({ force: true, v: true });
  };
  return { host: container.getHost(), port, start, stop, kill, close, log, [Symbol.asyncDispose]: close };
}
