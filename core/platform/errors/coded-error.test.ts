import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codedError, errorBody, isCodedError } from './coded-error.ts';
import { ERROR_REGISTRY, errorDefinition, type ErrorCode } from './registry.ts';

// operations.md chapter 25, O-303 and O-310 … O-377, in their order (ranges without codes left out).
const DOCUMENTED =
  `R0001 S0001 S0102 S1002 S1003 S1004 S1005 S1101 S1103 S1104 S1105 S1106 S1107 S1108 S1109 S1110 S1120 S1121 S1141
  S1142 S1143 S1144 S1145 S1146 S1301 S1302 S1303 S1304 S1305 S1306 S1307 S1341 S1342 S1343 S1344 S1345 S1346 S1347 S1402
  S1500 S1601 S2001 S2002 S2003 S2004 S2101 S2102 S2103 S2104 S2105 S2106 S2201 S2202 S2203 S2204 S2302 S2304 S2305 S2401
  S2402 S2403 S2404 S3102 S3103 S3201 S4001 S4104 S4105`
    .split(/\s+/)
    .map((code) => `PSYNC_${code}`);
const CODES = Object.keys(ERROR_REGISTRY) as ErrorCode[];

describe('registry', () => {
  test('every documented code is there, and only those claim a documented number (O-303 … O-378)', () => {
    const claimed = CODES.filter((code) => errorDefinition(code).reference?.startsWith('O-'));
    expect(claimed.toSorted()).toEqual(DOCUMENTED.toSorted());
    const references = claimed.map((code) => errorDefinition(code).reference);
    expect(new Set(references).size).toBe(references.length);
  });

  test('every entry is complete and well formed', () => {
    for (const code of CODES) {
      const { status, summary, remedy } = errorDefinition(code);
      expect(code).toMatch(/^PSYNC_[RS]\d{4}$/);
      expect(status).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(600);
      expect(summary.length).toBeGreaterThan(5);
      expect(summary).not.toMatch(/\.$/);
      expect(remedy).toMatch(/[.:)]$/);
    }
  });

  test('all S21xx answer 401, the only status on which a client drops its credentials (S-604)', () => {
    const unauthorized = CODES.filter((code) => errorDefinition(code).status === 401);
    expect(unauthorized).toEqual(CODES.filter((code) => code.startsWith('PSYNC_S21')));
  });
});

describe('CodedError', () => {
  test('message, status, details and cause (S-678)', () => {
    const cause = new Error('socket hang up');
    const error = codedError('PSYNC_S2305', 'Too many buckets: 4 (limit of 3)', { cause, details: 'top: a' });
    expect(error.message).toBe('[PSYNC_S2305] Too many buckets: 4 (limit of 3)');
    expect(error).toMatchObject({ code: 'PSYNC_S2305', status: 500, details: 'top: a', cause });
    expect(isCodedError(error)).toBe(true);
    expect(isCodedError(error, 'PSYNC_S2305')).toBe(true);
    expect(isCodedError(error, 'PSYNC_S2304')).toBe(false);
    expect(isCodedError({ code: 'PSYNC_S2305' })).toBe(false);
  });
});

describe('errorBody', () => {
  test('is what the existing service answers (wire/01, 08, 09, 15)', () => {
    expect(errorBody(codedError('PSYNC_S2106', 'Authentication required'))).toEqual({
      error: { code: 'PSYNC_S2106', status: 401, description: 'Authentication required', name: 'AuthorizationError' },
    });
    expect(errorBody(codedError('PSYNC_S2302', 'No sync config available'))).toEqual({
      error: { status: 500, code: 'PSYNC_S2302', description: 'No sync config available', name: 'ServiceError' },
    });
    const invalid = codedError('PSYNC_S2001', 'Validation failed', {
      status: 400,
      details: ['/buckets: type must be array'],
    });
    expect(errorBody(invalid)).toEqual({
      error: {
        code: 'PSYNC_S2001',
        status: 400,
        description: 'Validation failed',
        details: '["/buckets: type must be array"]',
        name: 'ValidationError',
      },
    });
    expect(errorBody(codedError('PSYNC_S2002', 'x')).error).toMatchObject({ status: 404, name: 'RouteNotFound' });
  });

  test('nothing of an unknown error or of an operator code reaches a client', () => {
    fc.assert(
      fc.property(fc.anything(), fc.stringMatching(/^secret-[a-z]{8}$/), (thrown, secret) => {
        expect(errorBody(thrown).error.code).toBe('PSYNC_S2001');
        expect(JSON.stringify(errorBody(new Error(secret)))).not.toContain(secret);
        const storage = codedError('PSYNC_S2402', `cannot reach ${secret}`, { details: secret, cause: secret });
        expect(JSON.stringify(errorBody(storage))).not.toContain(secret);
        expect(JSON.stringify(errorBody(storage, { audience: 'operator' }))).toContain(secret);
      }),
    );
  });

  test('details with a bigint are sent as text', () => {
    expect(errorBody(codedError('PSYNC_S2001', 'x', { details: { op: 12n } })).error.details).toBe('{"op":"12"}');
  });
});
