import { STATUS_CODES } from 'node:http';

/** What an answer begins with, on a connection that is not the HTTP server's (RFC 9112, 4 and 5). */
export function responseHead(status: number, headers: Readonly<Record<string, string | number>>): string {
  let lines = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n`;
  for (const [name, value] of Object.entries(headers)) lines += `${name}: ${value}\r\n`;
  return `${lines}\r\n`;
}
