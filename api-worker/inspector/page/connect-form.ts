/** What the user gives: token, parameters, subscriptions. The token is never in an address, a cookie or a log. */
import { byId } from './elements.ts';
import type { SessionOptions } from './session.ts';

/** Of this tab only, and only when the user wants it. */
const KEPT_AS = 'millrace-inspector';

interface Fields {
  readonly token: string;
  readonly parameters: string;
  readonly subscriptions: string;
  readonly includeDefaults: boolean;
}

const form = byId<HTMLFormElement>('connect');
const token = byId<HTMLTextAreaElement>('token');
const keep = byId<HTMLInputElement>('keep');
const parameters = byId<HTMLTextAreaElement>('parameters');
const subscriptions = byId<HTMLTextAreaElement>('subscriptions');
const defaults = byId<HTMLInputElement>('defaults');

/** Calls back when the form is sent, and at once with what was kept. `onWrong` gets what to correct. */
export function listenToForm(onConnect: (options: SessionOptions) => void, onWrong: (text: string) => void): void {
  const submit = (): void => {
    const fields: Fields = {
      token: token.value.trim().replace(/^(Token|Bearer) +/i, ''),
      parameters: parameters.value.trim(),
      subscriptions: subscriptions.value.trim(),
      includeDefaults: defaults.checked,
    };
    try {
      const options = optionsOf(fields);
      if (keep.checked) sessionStorage.setItem(KEPT_AS, JSON.stringify(fields));
      else sessionStorage.removeItem(KEPT_AS);
      onConnect(options);
    } catch (error) {
      onWrong((error as Error).message);
    }
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    submit();
  });
  form.reset();
  const kept = sessionStorage.getItem(KEPT_AS);
  if (kept === null) return token.focus();
  const fields = JSON.parse(kept) as Fields;
  token.value = fields.token;
  parameters.value = fields.parameters;
  subscriptions.value = fields.subscriptions;
  defaults.checked = fields.includeDefaults;
  keep.checked = true;
  submit();
}

export function showForm(isShown: boolean): void {
  form.hidden = !isShown;
  if (isShown) token.focus();
}

/** Nothing stays of the token that was given. */
export function forget(): void {
  sessionStorage.removeItem(KEPT_AS);
  keep.checked = false;
  token.value = '';
}

/** Throws an Error that says which field to correct. */
function optionsOf(fields: Fields): SessionOptions {
  if (fields.token.split('.').length !== 3)
    throw new Error(
      'This is no JWT: three parts with dots between them are expected, as in the Authorization header of a client.',
    );
  const { sub, exp } = claimsOf(fields.token);
  return {
    token: fields.token,
    user: typeof sub === 'string' ? sub : 'nobody',
    tokenEndsAt: typeof exp === 'number' ? exp * 1000 : null,
    parameters: objectOf(fields.parameters, 'The connection parameters') as SessionOptions['parameters'],
    subscriptions: fields.subscriptions
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '')
      .map((line) => {
        const [, name = '', rest = ''] = /^(\S+)\s*(.*)$/.exec(line) ?? [];
        return { name, parameters: rest === '' ? null : objectOf(rest, `The parameters of the stream ${name}`) };
      }),
    includeDefaults: fields.includeDefaults,
  };
}

function objectOf(text: string, what: string): Record<string, unknown> {
  if (text === '') return {};
  const wrong = new Error(`${what} are no JSON object, such as {"region": "eu"}.`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong;
  return value as Record<string, unknown>;
}

/** What a token says of itself; the service has the last word. */
function claimsOf(jwt: string): { readonly sub?: unknown; readonly exp?: unknown } {
  try {
    const text = atob(jwt.split('.')[1]!.replaceAll('-', '+').replaceAll('_', '/'));
    const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)) as object;
  } catch {
    return {};
  }
}
