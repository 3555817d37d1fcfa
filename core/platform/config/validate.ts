import { Ajv, type ErrorObject } from 'ajv';
import type { ErrorCode } from '../errors/registry.ts';
import { isAddressRange } from '../network/address-ranges.ts';
import type { ConfigDocument } from './document.ts';
import { didYouMean, formatPath, type ConfigPath, type ConfigProblem } from './problems.ts';
import { ServiceConfigSchema } from './service-schema.ts';

const ajv = new Ajv({
  allErrors: true,
  strict: true,
  strictRequired: false,
  allowUnionTypes: true,
  discriminator: true,
  verbose: true,
});
ajv.addFormat('ip-range', isAddressRange);
/** A code of its own for a wrong value, where the documentation gives one. */
ajv.addKeyword({ keyword: 'errorCode', schemaType: 'string' });
const validate = ajv.compile(ServiceConfigSchema);

/** What is wrong with the structure of the configuration, each at its line. Never shows values, except allowed ones. */
export function structuralProblems(document: ConfigDocument): ConfigProblem[] {
  if (validate(document.value)) return [];
  return (validate.errors ?? []).flatMap((error) => {
    const problem = toProblem(error, document);
    // A variable that is missing was reported already; that its key holds nothing is no news.
    return document.unresolved.has(problem.key) ? [] : [problem];
  });
}

function toProblem(error: ErrorObject, document: ConfigDocument): ConfigProblem {
  const path = pathTo(document.value, error.instancePath);
  if (error.keyword === 'additionalProperties') {
    const name = String(error.params['additionalProperty']);
    const full = [...path, name];
    const position = document.locate(full, 'key');
    return { code: 'PSYNC_S3223', key: formatPath(full), ...position, message: unknownKey(name, error) };
  }
  if (error.keyword === 'required' || error.keyword === 'discriminator') {
    const name = String(error.keyword === 'required' ? error.params['missingProperty'] : error.params['tag']);
    const full = [...path, name];
    const value = (error.data as Record<string, unknown> | undefined)?.[name];
    const message =
      error.keyword === 'required' || value === undefined ? 'is required' : `must be one of ${tags(error)}`;
    return { code: 'PSYNC_S3224', key: formatPath(full), ...document.locate(full), message };
  }
  const code = (error.parentSchema?.['errorCode'] as ErrorCode | undefined) ?? 'PSYNC_S3224';
  return { code, key: formatPath(path), ...document.locate(path), message: wrongValue(error) };
}

function unknownKey(name: string, error: ErrorObject): string {
  const known = Object.keys((error.parentSchema?.['properties'] as object | undefined) ?? {});
  const meant = didYouMean(name, known);
  if (meant !== null) return `unknown key, did you mean "${meant}"?`;
  if (Object.hasOwn(ServiceConfigSchema.properties, name))
    return 'unknown here: it belongs to the top level of the file';
  return known.length === 0 ? 'unknown key' : `unknown key, allowed are ${known.join(', ')}`;
}

function wrongValue(error: ErrorObject): string {
  const { keyword, params, parentSchema } = error;
  switch (keyword) {
    case 'type':
      return `must be ${([] as string[])
        .concat(params['type'] as string)
        .map(withArticle)
        .join(' or ')}, not ${kindOf(error.data)}`;
    case 'enum': {
      const allowed = (params['allowedValues'] as unknown[]).map(String);
      const meant = typeof error.data === 'string' ? didYouMean(error.data, allowed) : null;
      return `must be one of ${allowed.join(', ')}${meant === null ? '' : `; did you mean "${meant}"?`}`;
    }
    case 'const':
      return `must be "${String(params['allowedValue'])}"`;
    case 'minLength':
      return 'must not be empty';
    case 'minimum':
    case 'maximum':
      return `must be ${params['comparison']} ${params['limit']}`;
    case 'format':
      return 'must be an IP address, a range like 10.0.0.0/8, or "local"';
    default:
      return `${error.message ?? 'is invalid'}${parentSchema?.['description'] === undefined ? '' : ` (${parentSchema['description']})`}`;
  }
}

function tags(error: ErrorObject): string {
  const schemas =
    (error.parentSchema?.['oneOf'] as { properties: Record<string, { const: string }> }[] | undefined) ?? [];
  return schemas.map(({ properties }) => properties[error.params['tag'] as string]?.const).join(', ');
}

/** What operators call the types of JSON schema. */
const TYPE_NAMES: Readonly<Record<string, string>> = {
  array: 'list',
  object: 'map',
  integer: 'whole number',
  string: 'text',
};

function withArticle(type: string): string {
  return type === 'null' ? 'null' : `a ${TYPE_NAMES[type] ?? type}`;
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'empty';
  return withArticle(Array.isArray(value) ? 'array' : typeof value);
}

/** JSON pointer → path, with numbers for positions in lists. */
function pathTo(root: unknown, pointer: string): ConfigPath {
  let value = root;
  return pointer
    .split('/')
    .slice(1)
    .map((part) => {
      const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
      const step = Array.isArray(value) ? Number(name) : name;
      value = (value as Record<string | number, unknown> | undefined)?.[step];
      return step;
    });
}
