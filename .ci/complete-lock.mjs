#!/usr/bin/env node
// Adds to package-lock.json the optional packages of other platforms that npm left out.
// A registry mirror may lack packages for platforms it never serves; npm then writes a lock file that its own `npm ci`
// refuses ("Missing: … from lock file"). Run this after `npm install` where test/lock-file.test.ts asks for it.
import { readFileSync, writeFileSync } from 'node:fs';

const path = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(path, 'utf8'));
const platform =
  /(android|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|win32)-(arm64|arm|ia32|loong64|ppc64|riscv64|s390x|x64)(?:-(gnu|musl))?/;

const added = [];
for (const [parent, { optionalDependencies = {}, dev }] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const at = `node_modules/${name}`;
    if (lock.packages[at] !== undefined || lock.packages[`${parent}/${at}`] !== undefined) continue;
    const [, os, cpu, libc] = platform.exec(name) ?? [];
    if (os === undefined || !/^\d/.test(version)) throw new Error(`Cannot tell the platform of ${name}@${version}.`);
    // Without an integrity: nobody here has seen the package.
    lock.packages[at] = {
      version,
      cpu: [cpu],
      ...(dev === true ? { dev } : {}),
      ...(libc === undefined ? {} : { libc: [libc === 'gnu' ? 'glibc' : libc] }),
      optional: true,
      os: [os],
    };
    added.push(name);
  }
}
// In npm's own order.
const sorted = Object.entries(lock.packages).toSorted(([a], [b]) => a.localeCompare(b, 'en'));
lock.packages = Object.fromEntries(sorted);
if (added.length > 0) writeFileSync(path, `${JSON.stringify(lock, undefined, 2)}\n`);
console.log(`${added.length} packages added${added.map((name) => `\n  ${name}`).join('')}`);
