/**
 * How values of results become JS values: `int8` as number (op ids are below 2^53), the rest as `pg` does it. Results come in text form,
 * because the driver turns binary ones into text before anybody can read them; bytes therefore travel as base64.
 */
import { types } from 'pg';

type Parser = (value: string) => unknown;

const INT8 = 20;

/** For the `types` option of `pg`. */
export const resultTypes = {
  getTypeParser(oid: number, format?: 'text' | 'binary'): Parser {
    return oid === INT8 ? Number : (types.getTypeParser(oid, format) as Parser);
  },
};
