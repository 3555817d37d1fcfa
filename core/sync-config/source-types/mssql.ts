/** SQL Server (S-344…S-361): names of `sys.types`, with or without brackets and the schema `sys`. */
import type { TypeMapping } from './contract.ts';
import { plainTypeName, typeTable, valueType } from './type-names.ts';

const becomes = typeTable([
  [['tinyint', 'smallint', 'int', 'bigint'], 'integer'], // S-344
  [['numeric', 'decimal'], 'text'], // S-345
  [['float', 'real'], 'real'], // S-346
  [['bit'], 'integer'], // S-347
  [['money', 'smallmoney'], 'text'], // S-348
  [['xml'], 'text'], // S-349
  [['char', 'nchar', 'ntext'], 'text'], // S-350
  [['varchar', 'nvarchar', 'text', 'sysname'], 'text'], // S-351
  [['uniqueidentifier'], 'text'], // S-352
  [['date'], 'text'], // S-354
  [['time'], 'text'], // S-355
  [['datetime', 'datetime2', 'smalldatetime', 'datetimeoffset'], 'text'], // S-356
  [['json'], 'text'], // S-357
  [['geometry', 'geography'], 'text'], // S-358
  [['binary', 'varbinary', 'image'], 'blob'], // S-359
  // `timestamp` is another name of `rowversion` (S-353 and question 7 of chapter 23)
  [['rowversion', 'timestamp'], 'blob'], // S-360
  [['hierarchyid'], 'blob'], // S-361
  // not in the chapter: read as text, whatever it holds
  [['sql_variant'], 'text'],
]);

export const mssqlType: TypeMapping = (typeName) =>
  valueType(becomes(plainTypeName(typeName.replaceAll(/[[\]]/g, '')).replace(/^sys\./, '')));
