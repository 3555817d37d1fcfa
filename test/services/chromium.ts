import { alone } from './alone.ts';
import { type Chromium, environmentNames } from './contract.ts';
import { findProgram, installDebianPackages, isExecutable } from './install.ts';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const folders = ['/usr/bin', '/opt/homebrew/bin', '/Applications/Google Chrome.app/Contents/MacOS'];
let found: Promise<Chromium> | undefined;

/** A browser for `playwright-core`: `chromium.launch({ ...(await chromium()) })`. */
export function chromium(): Promise<Chromium> {
  found ??= locate();
  return found;
}

async function locate(): Promise<Chromium> {
  const given = process.env[environmentNames.chromium];
  if (given !== undefined && given !== '' && !(await isExecutable(given))) {
    throw new Error(`${environmentNames.chromium} names ${given}, which is not an executable file.`);
  }
  const executablePath = given || (await findChromium()) || (await alone('chromium', installChromium));
  // Its sandbox needs what root and most containers do not have; test pages are our own.
  return { executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'] };
}

async function findChromium(): Promise<string | undefined> {
  for (const name of [...names, 'Google Chrome']) {
    const path = await findProgram(name, folders);
    if (path !== undefined) return path;
  }
  return undefined;
}

async function installChromium(): Promise<string> {
  const present = await findChromium();
  if (present !== undefined) return present;
  const hint = 'Debian: apt-get install chromium; elsewhere Chrome or Chromium on the PATH';
  await installDebianPackages(['chromium'], { what: 'Chromium', variable: environmentNames.chromium, hint });
  const installed = await findChromium();
  if (installed === undefined) throw new Error('The chromium package is installed, but its program was not found.');
  return installed;
}
