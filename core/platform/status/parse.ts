/** Reading what another process says of itself: checked first, because a pod may be of another version, or something else entirely. */
import { Ajv } from 'ajv';
import { LONGEST_STATUS_BYTES, PartStatusSchema, type PartStatus } from './contract.ts';

const ajv = new Ajv({ strict: true, removeAdditional: 'all' });
const validate = ajv.compile<PartStatus>(PartStatusSchema);

/**
 * The status in an answer of `GET /status`, without what this version does not know (a newer part may say more). A `problem` never holds
 * anything of the text, only where it is wrong.
 */
export function readPartStatus(
  text: string,
):
  | { readonly status: PartStatus; readonly problem?: undefined }
  | { readonly problem: string; readonly status?: undefined } {
  if (text.length > LONGEST_STATUS_BYTES) return { problem: `it is longer than ${LONGEST_STATUS_BYTES} bytes` };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { problem: 'it is not JSON' };
  }
  const format = (value as { format?: unknown } | null)?.format;
  if (Number.isInteger(format) && format !== 1)
    return { problem: 'its format is not known here: it is of another release' };
  if (validate(value)) return { status: value };
  const [error] = validate.errors ?? [];
  // names of unknown keys are removed, so that a path holds only ours and positions
  return {
    problem: `${error?.instancePath === '' ? 'the whole' : error?.instancePath}: ${error?.message ?? 'is invalid'}`,
  };
}
