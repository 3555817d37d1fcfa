/** MySQL and MariaDB (S-324…S-343): names of `information_schema` (`int(10) unsigned`) and of SQL. */
import type { TypeMapping } from './contract.ts';
import { plainTypeName, typeTable, valueType } from './type-names.ts';

const becomes = typeTable([
  [['tinyint', 'smallint', 'mediumint', 'int', 'integer', 'bigint'], 'integer'], // S-324
  [['numeric', 'decimal', 'dec', 'fixed'], 'text'], // S-325
  [['bool', 'boolean'], 'integer'], // S-326
  [['float', 'double', 'double precision', 'real'], 'real'], // S-327
  [['enum'], 'text'], // S-328
  [['set'], 'text'], // S-329
  [['char', 'varchar', 'nchar', 'nvarchar', 'character', 'character varying'], 'text'], // S-330
  [['tinytext', 'text', 'mediumtext', 'longtext'], 'text'], // S-331
  [['timestamp'], 'text'], // S-332
  [['date'], 'text'], // S-333
  [['time', 'datetime'], 'text'], // S-334
  [['year'], 'text'], // S-335
  [['json'], 'text'], // S-336
  [['bit'], 'blob'], // S-337
  [['binary', 'varbinary', 'tinyblob', 'blob', 'mediumblob', 'longblob'], 'blob'], // S-338
  [['image'], 'blob'], // S-339
  [['geometry', 'geometrycollection', 'geomcollection'], 'blob'], // S-340
  [['point', 'multipoint'], 'blob'], // S-341
  [['linestring', 'multilinestring'], 'blob'], // S-342
  [['polygon', 'multipolygon'], 'blob'], // S-343
  // not in the chapter: passed on as it is stored
  [['vector'], 'blob'],
]);

/** What may stand behind a type and does not change what its values become. */
const ATTRIBUTES = / (unsigned|signed|zerofill|(character set|charset|collate) \S+)(?= |$)/g;

export const mysqlType: TypeMapping = (typeName) =>
  valueType(becomes(plainTypeName(typeName).replaceAll(ATTRIBUTES, '')));
