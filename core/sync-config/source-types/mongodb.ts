/** MongoDB (S-303…S-321): names as in the BSON specification, in queries (`$type`) and of the classes of drivers. */
import { plainTypeName, typeTable, unionMapping } from './type-names.ts';

const becomes = typeTable([
  [['string'], 'text'], // S-303
  [['int', 'int32', 'long', 'int64'], 'integer'], // S-304
  [['double'], 'real'], // S-305
  [['decimal', 'decimal128'], 'text'], // S-306
  [['object', 'document'], 'text'], // S-307
  [['array'], 'text'], // S-308
  [['objectid'], 'text'], // S-309
  [['uuid'], 'text'], // S-310
  [['bool', 'boolean'], 'integer'], // S-311
  [['date'], 'text'], // S-312
  [['null'], 'null'], // S-313
  [['bindata', 'binary'], 'blob'], // S-314
  [['regex', 'regular expression', 'bsonregexp'], 'text'], // S-315
  [['timestamp'], 'integer'], // S-316
  [['undefined'], 'null'], // S-317
  [['dbpointer', 'dbref'], 'text'], // S-318
  [['javascript', 'javascriptwithscope', 'code'], 'text'], // S-319
  [['symbol', 'bsonsymbol'], 'text'], // S-320
  [['minkey', 'maxkey'], 'null'], // S-321
]);

export const mongodbType = unionMapping((name) => becomes(plainTypeName(name)));
