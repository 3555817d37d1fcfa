/** What our gzip costs and saves, against a compressor per connection. */
import { request } from 'node:http';
import { constants, createGunzip, createGzip } from 'node:zlib';

export interface Comparison {
  readonly endpoint: string;
  readonly token: string;
  /** What the client asks for. */
  readonly streams: object;
  /** Of the worker, so far. */
  readonly cpuMs: () => Promise<number>;
  readonly operations: number;
}

/** The body as it travels, and what a compressor of its own would have made of the same lines, flushed as often. */
export async function compareCompression(options: Comparison): Promise<Record<string, number>> {
  const { endpoint, token, streams, cpuMs, operations } = options;
  const fetchBody = async (encoding: string): Promise<Buffer[]> => {
    const parts: Buffer[] = [];
    const body = JSON.stringify({ buckets: [], raw_data: true, include_checksum: true, streams });
    const headers = {
      authorization: `Token ${token}`,
      'content-type': 'application/json',
      'accept-encoding': encoding,
    };
    await new Promise<void>((resolve, reject) => {
      const call = request(`${endpoint}/sync/stream`, { method: 'POST', headers, agent: false }, (response) => {
        const decoded = encoding === 'gzip' ? response.pipe(createGunzip()) : response;
        if (encoding === 'gzip') response.on('data', (part: Buffer) => void parts.push(part));
        let tail = '';
        decoded.on('data', (part: Buffer) => {
          if (encoding !== 'gzip') parts.push(part);
          tail = (tail + part.subarray(-100).toString('latin1')).slice(-200);
          if (tail.includes('"checkpoint_complete"')) resolve(call.destroy() && undefined);
        });
      });
      call.once('error', reject);
      call.end(body);
    });
    return parts;
  };
  const before = await cpuMs();
  const ours = (await fetchBody('gzip')).reduce((sum, part) => sum + part.length, 0);
  const after = await cpuMs();
  const plain = Buffer.concat(await fetchBody('identity'));
  const lines: Buffer[] = [];
  for (let at = 0, end = plain.indexOf(10); end >= 0; at = end + 1, end = plain.indexOf(10, at))
    lines.push(plain.subarray(at, end + 1));
  const compressor = createGzip({ flush: constants.Z_SYNC_FLUSH });
  let theirs = 0;
  compressor.on('data', (part: Buffer) => void (theirs += part.length));
  const cpu = process.cpuUsage();
  for (const line of lines) await new Promise<void>((resolve) => compressor.write(line, () => resolve()));
  const { user: theirCpu } = process.cpuUsage(cpu);
  return {
    plainMegabytes: plain.length / 1e6,
    oursMegabytes: ours / 1e6,
    perConnectionMegabytes: theirs / 1e6,
    timesTheBytes: ours / theirs,
    oursCpuMicrosecondsPerOperation: ((after - before) * 1000) / operations,
    perConnectionCpuMicrosecondsPerOperation: theirCpu / operations,
  };
}
