import { isIP } from 'node:net';

/** The parts of a database URI; a part that is not there is undefined. */
export interface ConnectionUri {
  readonly scheme: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** Several where the kind of database allows a list of hosts. */
  readonly hosts: readonly { readonly hostname: string; readonly port: string | undefined }[];
  readonly database: string | undefined;
  readonly query: ReadonlyMap<string, string>;
}

/**
 * Reads `scheme://user:password@host:port,host:port/database?key=value`, with brackets around IPv6 addresses and
 * percent-encoding everywhere. `URL` does not know lists of hosts.
 *
 * Returns null when it is malformed or has another scheme. Never throws, and its result is the only trace of the text.
 */
export function parseConnectionUri(text: string, schemes: readonly string[]): ConnectionUri | null {
  const match = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/i.exec(text);
  if (match === null) return null;
  const [, scheme = '', authority = '', path = '', query = ''] = match;
  if (!schemes.includes(scheme.toLowerCase())) return null;

  // A password may hold an unencoded @, a host may not.
  const at = authority.lastIndexOf('@');
  const user = at === -1 ? '' : authority.slice(0, at);
  const colon = user.indexOf(':');
  const hosts = parseHosts(authority.slice(at + 1));
  if (hosts === null) return null;
  try {
    return {
      scheme: scheme.toLowerCase(),
      username: decode(colon === -1 ? user : user.slice(0, colon)),
      password: colon === -1 ? undefined : decode(user.slice(colon + 1)),
      hosts,
      database: decode(path),
      query: new Map(new URLSearchParams(query)),
    };
  } catch {
    return null;
  }
}

function decode(text: string): string | undefined {
  return text === '' ? undefined : decodeURIComponent(text);
}

function parseHosts(text: string): ConnectionUri['hosts'] | null {
  if (text === '') return [];
  const hosts = [];
  for (const part of text.split(',')) {
    const match = /^(?:\[([0-9a-f:.]+(?:%25[\w-]+)?)\]|([^\s:@[\]]+))(?::(\d*))?$/i.exec(part);
    if (match === null) return null;
    let hostname = match[1] ?? match[2]!;
    try {
      hostname = decodeURIComponent(hostname);
    } catch {
      return null;
    }
    hosts.push({ hostname, port: match[3] === '' ? undefined : match[3] });
  }
  return hosts;
}

/** True for what can stand as a host: a name or an IP address without brackets. */
export function isHostname(text: string): boolean {
  return isIP(text) !== 0 || (/^[\w.-]+$/.test(text) && text.length <= 253);
}
