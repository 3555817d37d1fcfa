import { convexType } from './convex.ts';
import type { SourceKind, TypeMapping, ValueTypeOf } from './contract.ts';
import { mongodbType } from './mongodb.ts';
import { mssqlType } from './mssql.ts';
import { mysqlType } from './mysql.ts';
import { postgresqlType } from './postgresql.ts';

const MAPPINGS: Readonly<Record<SourceKind, TypeMapping>> = {
  postgresql: postgresqlType,
  mongodb: mongodbType,
  mysql: mysqlType,
  mssql: mssqlType,
  convex: convexType,
};

/** See contract.ts. */
export const valueTypeOf: ValueTypeOf = (kind, typeName) => MAPPINGS[kind](typeName);
