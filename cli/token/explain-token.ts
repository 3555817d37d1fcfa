/** `millrace explain token`: every check that the service makes of a token, in order, and what to change. */
import { CHECK_NAMES, type Check, type CheckName } from '#core/platform/auth/check.ts';
import { createRevocationList, type RevocationList } from '#core/platform/auth/revocations.ts';
import { createTokenVerifier } from '#core/platform/auth/token-verifier.ts';
import { realClock } from '#core/platform/clock.ts';
import { type ConfigFlags, loadServiceConfig } from '#core/platform/config/load.ts';
import type { ConfigNotice } from '#core/platform/config/problems.ts';
import type { ServiceConfig } from '#core/platform/config/service-config.ts';
import { type CodedError } from '#core/platform/errors/coded-error.ts';
import { errorDefinition } from '#core/platform/errors/registry.ts';
import { SILENT_LOG } from '#core/platform/log.ts';
import { openStorage } from '../instance.ts';

export interface ExplainTokenOptions {
  /** The JWT, alone or as in an `Authorization` header. */
  readonly token: string;
  readonly flags: ConfigFlags;
  readonly output: 'human' | 'json';
  readonly print: (text: string) => void;
}

/** What became of one check. */
interface Row {
  readonly check: CheckName;
  readonly result: 'ok' | 'refused' | 'not checked';
  readonly finding: string;
  readonly refusal: CodedError | null;
}

const ENTRIES_PER_READ = 5000;

/**
 * Answers whether the service would accept the token now: it runs the service's own verification, with key sets really fetched and the
 * deny list read from storage. Prints neither the token nor secrets.
 */
export async function explainToken({ token, flags, output, print }: ExplainTokenOptions): Promise<boolean> {
  const { config, notices } = await loadServiceConfig({
    flags,
    environment: process.env,
    workingFolder: process.cwd(),
  });
  const revocations = await readRevocations(config);
  const isRead = !('unread' in revocations);
  const verifier = await createTokenVerifier({
    ...{ clientAuth: config.clientAuth, clock: realClock, log: SILENT_LOG },
    ...(isRead ? { revocations } : {}),
  });
  const checks: Check[] = [];
  try {
    for await (const check of verifier.examine(headerOf(token))) checks.push(check);
  } finally {
    verifier.close();
  }
  const rows = rowsOf(checks, isRead ? null : revocations.unread);
  const refusal = rows.find((row) => row.refusal !== null)?.refusal ?? null;
  const about = notices.filter(({ key }) => key.startsWith('client_auth'));
  print(output === 'json' ? json(rows, refusal, about) : human(rows, refusal, about));
  return refusal === null;
}

/** As a client sends it. What was copied from a header has its word already; line breaks come from terminals. */
function headerOf(text: string): string {
  const token = text.trim();
  return /^(?:token|bearer)\s/i.test(token) ? token.replace(/\s+/, ' ') : `Token ${token}`;
}

/** The deny list as it stands in storage, or why it could not be read. */
async function readRevocations(config: ServiceConfig): Promise<RevocationList | { readonly unread: string }> {
  try {
    const storage = await openStorage(config, SILENT_LOG, realClock);
    try {
      await storage.assertMigrated();
      const list = createRevocationList(realClock);
      for (let revision = 0, more = true; more;) {
        const entries = await storage.revocations.after(revision, ENTRIES_PER_READ);
        list.add(entries);
        revision = entries.at(-1)?.revision ?? revision;
        more = entries.length === ENTRIES_PER_READ;
      }
      return list;
    } finally {
      await storage.close();
    }
  } catch (error) {
    return { unread: error instanceof Error ? error.message : String(error) };
  }
}

function rowsOf(checks: readonly Check[], unread: string | null): Row[] {
  return CHECK_NAMES.map((name): Row => {
    const check = checks.find((each) => each.name === name);
    if (check === undefined) {
      const isUnread = name === 'revocation' && unread !== null;
      const finding = isUnread ? `the deny list could not be read: ${unread}` : 'needs what was refused above';
      return { check: name, result: 'not checked', finding, refusal: null };
    }
    const { finding, refusal } = check;
    return { check: name, result: refusal === null ? 'ok' : 'refused', finding, refusal };
  });
}

const NAME_WIDTH = Math.max(...CHECK_NAMES.map(({ length }) => length));
const RESULT_WIDTH = 'not checked'.length;

function human(rows: readonly Row[], refusal: CodedError | null, notices: readonly ConfigNotice[]): string {
  const indent = ' '.repeat(NAME_WIDTH + RESULT_WIDTH + 4);
  const lines = rows.flatMap(({ check, result, finding, refusal: refused }) => {
    const line = `${check.padEnd(NAME_WIDTH)}  ${result.padEnd(RESULT_WIDTH)}  ${finding}`;
    if (refused === null) return [line];
    return [line, `${indent}${refused.message}`, `${indent}-> ${remedyOf(refused)}`];
  });
  const said = notices.map(({ level, key, message }) => `${level}: ${key} ${message}`);
  return [...said, ...lines, verdict(rows, refusal)].join('\n');
}

function verdict(rows: readonly Row[], refusal: CodedError | null): string {
  if (refusal !== null) return `Refused: clients get ${refusal.code} (HTTP ${refusal.status}).`;
  const open = rows.some(({ result }) => result === 'not checked') ? ', unless it is revoked' : '';
  return `Accepted${open}.`;
}

function remedyOf(refusal: CodedError): string {
  return errorDefinition(refusal.code).remedy;
}

function json(rows: readonly Row[], refusal: CodedError | null, notices: readonly ConfigNotice[]): string {
  const checks = rows.map(({ check, result, finding, refusal: refused }) => ({
    ...{ check, result, finding },
    ...(refused === null ? {} : { code: refused.code, message: refused.description, remedy: remedyOf(refused) }),
  }));
  const outcome =
    refusal === null ? { accepted: true } : { accepted: false, code: refusal.code, status: refusal.status };
  return JSON.stringify({ ...outcome, checks, notices }, null, 2);
}
