// over 450 lines because: every code stands in one list (O-378), and a list is not easier to read in pieces
/**
 * The one list of error codes (operations.md chapter 25, sync.md chapter 19). Documented codes carry their number in
 * `reference`; codes without one are ours and stand in free parts of the same ranges (O-378). A number is never reused
 * and never changes its meaning. Append to the range a code belongs to; the type `ErrorCode` follows from the table.
 */

/** How bad it is for the operator: `info` is expected, `warning` wants a look, `error` failed, `fatal` stops the part. */
export type Severity = 'info' | 'warning' | 'error' | 'fatal';

export interface ErrorDefinition {
  readonly severity: Severity;
  /** HTTP status of the answer when the error ends a request; `codedError` may override it. */
  readonly status: number;
  /** One sentence without secrets; the description a client sees when the message itself is not for clients. */
  readonly summary: string;
  /** What the operator or the client should do. */
  readonly remedy: string;
  /** `client`: message and details may be sent to clients. Otherwise clients see only `summary`. */
  readonly audience?: 'client';
  /** Number in the requirements; absent for codes of our own. */
  readonly reference?: string;
}

export const ERROR_REGISTRY = {
  // -- R: sync config ------------------------------------------------------------------------------------------------
  PSYNC_R0001: {
    severity: 'error',
    status: 422,
    summary: 'The sync config cannot be parsed',
    remedy: 'Correct the positions named in details.',
    audience: 'client',
    reference: 'O-303',
  },
  // R11xx: YAML syntax (O-304)
  PSYNC_R1101: {
    severity: 'error',
    status: 422,
    summary: 'The sync config is not valid YAML',
    remedy: 'Correct the YAML at the named position.',
    audience: 'client',
  },
  PSYNC_R1102: {
    severity: 'error',
    status: 422,
    summary: 'The sync config is too large',
    remedy: 'Keep the file below 1 MB.',
    audience: 'client',
  },

  // R12xx: YAML structure (O-305)
  PSYNC_R1201: {
    severity: 'error',
    status: 422,
    summary: 'A value of the sync config has the wrong type',
    remedy: 'Give the kind of value named in the message.',
    audience: 'client',
  },
  PSYNC_R1202: {
    severity: 'error',
    status: 422,
    summary: 'Unknown key in the sync config',
    remedy: 'Correct the spelling, or remove the key.',
    audience: 'client',
  },
  PSYNC_R1203: {
    severity: 'error',
    status: 422,
    summary: 'A required key of the sync config is missing',
    remedy: 'Add the key named in the message.',
    audience: 'client',
  },
  PSYNC_R1204: {
    severity: 'error',
    status: 422,
    summary: '"query" and "queries" are both given',
    remedy: 'Keep one of them.',
    audience: 'client',
  },
  PSYNC_R1205: {
    severity: 'error',
    status: 422,
    summary: 'Priority outside 0…3',
    remedy: 'Give 0, 1, 2 or 3.',
    audience: 'client',
  },
  PSYNC_R1206: {
    severity: 'error',
    status: 422,
    summary: 'Unknown edition',
    remedy: 'Give 1, 2 or 3.',
    audience: 'client',
  },
  PSYNC_R1207: {
    severity: 'error',
    status: 422,
    summary: 'Invalid timestamp_max_precision',
    remedy: 'Give seconds, milliseconds, microseconds or nanoseconds.',
    audience: 'client',
  },
  PSYNC_R1208: {
    severity: 'warning',
    status: 422,
    summary: 'An option has no effect',
    remedy: 'Turn on what it depends on, or remove it.',
    audience: 'client',
  },
  PSYNC_R1209: {
    severity: 'error',
    status: 422,
    summary: 'The sync config defines nothing to sync',
    remedy: 'Add streams or bucket_definitions.',
    audience: 'client',
  },
  PSYNC_R1210: {
    severity: 'warning',
    status: 422,
    summary: 'Streams without an edition',
    remedy: 'Add "config: { edition: 3 }".',
    audience: 'client',
  },
  PSYNC_R1211: {
    severity: 'error',
    status: 422,
    summary: 'A name is used twice',
    remedy: 'Rename one of them.',
    audience: 'client',
  },
  PSYNC_R1212: {
    severity: 'warning',
    status: 422,
    summary: 'An option without effect',
    remedy: 'Remove it.',
    audience: 'client',
  },

  // R13xx: tests of the sync config (millrace test)
  PSYNC_R1301: {
    severity: 'warning',
    status: 422,
    summary: 'A part of a sync config test proves nothing',
    remedy: 'Correct the name in the message, or remove the part.',
    audience: 'client',
  },
  PSYNC_R1302: {
    severity: 'error',
    status: 422,
    summary: 'A sync config test names what its sync config does not have',
    remedy: 'Correct the name in the message.',
    audience: 'client',
  },
  PSYNC_R1303: {
    severity: 'warning',
    status: 422,
    summary: 'Rows of a sync config test do not reach clients as they are',
    remedy: 'Correct the row, or the query, that is named in the message.',
    audience: 'client',
  },
  PSYNC_R1304: {
    severity: 'error',
    status: 422,
    summary: 'A sync config test is too large',
    remedy: 'Use fewer rows; a few of each kind are enough.',
    audience: 'client',
  },
  PSYNC_R1305: {
    severity: 'error',
    status: 422,
    summary: 'The sync config of a test cannot be read',
    remedy: 'Correct the path under sync_config; it starts at the folder of the test file.',
    audience: 'client',
  },

  // R21xx: SQL syntax (O-306)
  PSYNC_R2101: {
    severity: 'error',
    status: 422,
    summary: 'Unexpected input in a query',
    remedy: 'Correct the query at the named position.',
    audience: 'client',
  },
  PSYNC_R2102: {
    severity: 'error',
    status: 422,
    summary: 'A literal or comment in a query does not end',
    remedy: 'Close it.',
    audience: 'client',
  },
  PSYNC_R2103: {
    severity: 'error',
    status: 422,
    summary: 'A query ends too early',
    remedy: 'Complete the query.',
    audience: 'client',
  },
  PSYNC_R2104: {
    severity: 'error',
    status: 422,
    summary: 'Character not allowed in a query',
    remedy: 'Remove it, or quote it.',
    audience: 'client',
  },
  PSYNC_R2105: {
    severity: 'error',
    status: 422,
    summary: 'A query is too long or nested too deeply',
    remedy: 'Split it into several queries.',
    audience: 'client',
  },
  PSYNC_R2106: {
    severity: 'warning',
    status: 422,
    summary: 'Operators are read by the precedence of SQLite',
    remedy: 'Add parentheses to make the order visible.',
    audience: 'client',
  },
  PSYNC_R2107: {
    severity: 'warning',
    status: 422,
    summary: 'A comparison with NULL is never true',
    remedy: 'Write IS NULL or IS NOT NULL.',
    audience: 'client',
  },
  PSYNC_R2108: {
    severity: 'warning',
    status: 422,
    summary: 'Joined tables have nothing in common',
    remedy: 'Add ON with the equality that connects them.',
    audience: 'client',
  },

  // R22xx: SQL feature not supported (O-307)
  PSYNC_R2201: {
    severity: 'error',
    status: 422,
    summary: 'SQL clause not supported',
    remedy: 'Remove the clause.',
    audience: 'client',
  },
  PSYNC_R2202: {
    severity: 'error',
    status: 422,
    summary: 'Kind of join not supported',
    remedy: 'Use INNER JOIN … ON with equalities.',
    audience: 'client',
  },
  PSYNC_R2203: {
    severity: 'error',
    status: 422,
    summary: 'Unknown function',
    remedy: 'Use one of the documented functions.',
    audience: 'client',
  },
  PSYNC_R2204: {
    severity: 'error',
    status: 422,
    summary: 'Wrong arguments of a function',
    remedy: 'Give the arguments named in the message.',
    audience: 'client',
  },
  PSYNC_R2205: {
    severity: 'error',
    status: 422,
    summary: 'Operator not supported',
    remedy: 'Use one of the documented operators.',
    audience: 'client',
  },
  PSYNC_R2206: {
    severity: 'error',
    status: 422,
    summary: 'Columns of several tables are selected',
    remedy: 'Select the columns of one table only.',
    audience: 'client',
  },
  PSYNC_R2207: {
    severity: 'error',
    status: 422,
    summary: 'Tables are not compared by equality',
    remedy: 'Compare columns of different tables with = only.',
    audience: 'client',
  },
  PSYNC_R2208: {
    severity: 'error',
    status: 422,
    summary: 'A CTE refers to another CTE',
    remedy: 'Write the other query as a nested subquery.',
    audience: 'client',
  },
  PSYNC_R2209: {
    severity: 'error',
    status: 422,
    summary: 'A subquery does not have exactly one column',
    remedy: 'Select exactly one column.',
    audience: 'client',
  },
  PSYNC_R2210: {
    severity: 'error',
    status: 422,
    summary: 'A parameter match or subquery is negated',
    remedy: 'State positively which rows match.',
    audience: 'client',
  },
  PSYNC_R2211: {
    severity: 'error',
    status: 422,
    summary: 'Range comparison with a parameter',
    remedy: 'Compare with =, for example on a prefix of the value.',
    audience: 'client',
  },
  PSYNC_R2212: {
    severity: 'error',
    status: 422,
    summary: 'Parameters and row values are mixed in one expression',
    remedy: 'Compare them with = or IN only.',
    audience: 'client',
  },
  PSYNC_R2213: {
    severity: 'error',
    status: 422,
    summary: 'Parameters cannot be selected',
    remedy: 'Select values of the row only.',
    audience: 'client',
  },
  PSYNC_R2214: {
    severity: 'error',
    status: 422,
    summary: 'Expression depends on the time of day',
    remedy: 'Pass the time as a value.',
    audience: 'client',
  },
  PSYNC_R2215: {
    severity: 'error',
    status: 422,
    summary: 'Wildcard not at the end of a table name',
    remedy: 'Put % at the end of the quoted name.',
    audience: 'client',
  },
  PSYNC_R2216: {
    severity: 'error',
    status: 422,
    summary: 'Name unknown or ambiguous',
    remedy: 'Qualify the column with the table or alias it belongs to.',
    audience: 'client',
  },
  PSYNC_R2217: {
    severity: 'error',
    status: 422,
    summary: 'Too many OR branches',
    remedy: 'Split the query into several queries.',
    audience: 'client',
  },
  PSYNC_R2218: {
    severity: 'error',
    status: 422,
    summary: 'Unknown connection',
    remedy: 'Use the tag of a configured connection.',
    audience: 'client',
  },
  PSYNC_R2219: {
    severity: 'error',
    status: 422,
    summary: 'Only supported in streams',
    remedy: 'Turn the bucket definition into a stream.',
    audience: 'client',
  },
  PSYNC_R2220: {
    severity: 'error',
    status: 422,
    summary: 'A data query does not use every bucket parameter',
    remedy: 'Match every bucket parameter in WHERE.',
    audience: 'client',
  },
  PSYNC_R2221: {
    severity: 'error',
    status: 422,
    summary: 'Parameter queries with different columns',
    remedy: 'Select the same columns in every parameter query.',
    audience: 'client',
  },
  PSYNC_R2222: {
    severity: 'error',
    status: 422,
    summary: 'OR over different parameters',
    remedy: 'Use several parameter queries.',
    audience: 'client',
  },
  PSYNC_R2223: {
    severity: 'error',
    status: 422,
    summary: 'Two IN on parameters in one condition',
    remedy: 'Use several parameter queries.',
    audience: 'client',
  },
  PSYNC_R2224: {
    severity: 'error',
    status: 422,
    summary: '_priority is not a constant 0…3',
    remedy: 'Give a literal 0, 1, 2 or 3.',
    audience: 'client',
  },
  PSYNC_R2225: {
    severity: 'error',
    status: 422,
    summary: 'Unknown bucket parameter',
    remedy: 'Select it in the parameter queries.',
    audience: 'client',
  },
  PSYNC_R2226: {
    severity: 'error',
    status: 422,
    summary: 'Wrong columns for this kind of query',
    remedy: 'Select the columns named in the message.',
    audience: 'client',
  },
  PSYNC_R2227: {
    severity: 'error',
    status: 422,
    summary: 'A query does not read exactly what it must',
    remedy: 'Read one table as named in the message.',
    audience: 'client',
  },
  PSYNC_R2228: {
    severity: 'error',
    status: 422,
    summary: 'Value or construct not allowed here',
    remedy: 'Write what the message names instead.',
    audience: 'client',
  },
  PSYNC_R2299: {
    severity: 'error',
    status: 422,
    summary: 'A condition could not be accounted for',
    remedy: 'This is a bug: report it with the query.',
    audience: 'client',
  },

  // R23xx: SQL does not fit the source schema; never fatal (O-308)
  PSYNC_R2301: {
    severity: 'warning',
    status: 422,
    summary: 'Table not found',
    remedy: 'Correct the name, or create the table.',
    audience: 'client',
  },
  PSYNC_R2302: {
    severity: 'warning',
    status: 422,
    summary: 'Column not found',
    remedy: 'Correct the name; until then the value is null.',
    audience: 'client',
  },
  PSYNC_R2303: {
    severity: 'warning',
    status: 422,
    summary: 'Mixed-case name without quotes',
    remedy: 'Put the name in double quotes.',
    audience: 'client',
  },
  PSYNC_R2304: {
    severity: 'warning',
    status: 422,
    summary: 'The query gives no id column',
    remedy: 'Select the key AS id.',
    audience: 'client',
  },
  PSYNC_R2305: {
    severity: 'warning',
    status: 422,
    summary: 'Table suffix of a table without wildcard',
    remedy: 'It is always empty; remove it.',
    audience: 'client',
  },
  PSYNC_R2306: {
    severity: 'warning',
    status: 422,
    summary: 'More columns than clients can have',
    remedy: 'Select at most 1,999 columns besides id.',
    audience: 'client',
  },

  // R24xx: security warnings (O-309)
  PSYNC_R2401: {
    severity: 'warning',
    status: 422,
    summary: 'Access depends only on values that any client can send',
    remedy: 'Add a condition on an auth parameter, or set accept_potentially_dangerous_queries: true.',
    audience: 'client',
  },

  // -- S0: process ---------------------------------------------------------------------------------------------------
  PSYNC_S0001: {
    severity: 'fatal',
    status: 500,
    summary: 'Internal assertion failed',
    remedy: 'This is a bug: report it with the log lines around it.',
    reference: 'O-310',
  },
  PSYNC_S0102: {
    severity: 'error',
    status: 500,
    summary: 'Teardown was not confirmed',
    remedy: 'Run "teardown TEARDOWN": the literal word confirms that slots and stored data are destroyed.',
    reference: 'O-311',
  },
  PSYNC_S0103: {
    severity: 'error',
    status: 500,
    summary: 'The file that a command was to write cannot be written',
    remedy: 'Check path and permissions; what was there before is unchanged.',
  },
  PSYNC_S0104: {
    severity: 'error',
    status: 500,
    summary: 'A running service that a command asked gave no answer',
    remedy: 'Check the address in --url or API_URL, and the admin token; the message has what came back.',
  },
  PSYNC_S0105: {
    severity: 'fatal',
    status: 500,
    summary: 'A command names a source that it cannot replicate',
    remedy: 'Give --source the tag of one of replication.connections; API processes (-r api) replicate none.',
  },
  PSYNC_S0106: {
    severity: 'fatal',
    status: 500,
    summary: 'Bucket storage belongs to another instance',
    remedy:
      'Give this instance a storage of its own; two must never share one. If the other one is gone for good: teardown TEARDOWN --instance with its name.',
  },
  PSYNC_S0107: {
    severity: 'error',
    status: 500,
    summary: 'A teardown was not finished in time',
    remedy: 'Run it again: what is gone already does no harm. Check that bucket storage and the sources are reachable.',
  },
  PSYNC_S0110: {
    severity: 'fatal',
    status: 500,
    summary: 'A part of the process failed to start',
    remedy: 'See the cause; the process ends so that its supervisor can start it again.',
  },
  PSYNC_S0111: {
    severity: 'warning',
    status: 500,
    summary: 'A part of the process did not stop in time',
    remedy: 'Raise the termination grace period, or look for what the named part waits for.',
  },
  PSYNC_S0112: {
    severity: 'fatal',
    status: 500,
    summary: 'An error reached nobody who could handle it',
    remedy: 'This is a bug: report it with the stack in the log. The process ends and is started again.',
  },
  PSYNC_S0120: {
    severity: 'fatal',
    status: 500,
    summary: 'A port is in use',
    remedy: 'Stop the other program, or choose another port.',
  },
  PSYNC_S0121: {
    severity: 'fatal',
    status: 500,
    summary: 'The development environment cannot be started',
    remedy: 'See the message; or start with a database of your own: millrace start -c service.yaml.',
  },

  // -- S10: replication in general -----------------------------------------------------------------------------------
  PSYNC_S1002: {
    severity: 'error',
    status: 500,
    summary: 'A row is larger than 15 MB',
    remedy: 'Shrink the row, or exclude the table or column from the sync config.',
    reference: 'O-312',
  },
  PSYNC_S1003: {
    severity: 'warning',
    status: 500,
    summary: 'Another process holds the replication lock',
    remedy: 'Normal for up to a minute after a forced end and in rolling updates; else stop the other process.',
    reference: 'O-313',
  },
  PSYNC_S1004: {
    severity: 'error',
    status: 500,
    summary: 'A JSON value is nested deeper than 20 levels',
    remedy: 'Flatten the value, or exclude the column from the sync config.',
    reference: 'O-314',
  },
  PSYNC_S1005: {
    severity: 'fatal',
    status: 500,
    summary: 'The storage version is not supported',
    remedy: 'Upgrade the service again, or deploy with an older storage_version before downgrading.',
    reference: 'O-315',
  },

  PSYNC_S1020: {
    severity: 'info',
    status: 500,
    summary: 'A replication stream ended because its sync config version was replaced or failed',
    remedy: 'Nothing: the streams of the newer version go on.',
  },

  PSYNC_S1010: {
    severity: 'warning',
    status: 500,
    summary: 'A row has no id and is not synced',
    remedy: 'Let the query select the key AS id, and keep that value from being null.',
  },
  PSYNC_S1011: {
    severity: 'warning',
    status: 500,
    summary: 'A row of a write checkpoint event is not usable',
    remedy: 'Give user_id, client_id and a positive integer checkpoint in every row.',
  },

  // -- S11: Postgres source ------------------------------------------------------------------------------------------
  PSYNC_S1101: {
    severity: 'fatal',
    status: 500,
    summary: 'Postgres replication assertion failed',
    remedy: 'This is a bug: report it with the log lines around it.',
    reference: 'O-316',
  },
  PSYNC_S1103: {
    severity: 'info',
    status: 500,
    summary: 'The first replication was aborted',
    remedy: 'Nothing: expected on shutdown, it continues at the next start.',
    reference: 'O-317',
  },
  PSYNC_S1104: {
    severity: 'fatal',
    status: 500,
    summary: 'sslmode verify-ca needs cacert',
    remedy: 'Give the certificate authority as PEM text in cacert, or use sslmode verify-full.',
    reference: 'O-318',
  },
  PSYNC_S1105: {
    severity: 'fatal',
    status: 500,
    summary: 'The connection has no database',
    remedy: 'Add it to the uri or as "database".',
    reference: 'O-319',
  },
  PSYNC_S1106: {
    severity: 'fatal',
    status: 500,
    summary: 'The connection has no hostname',
    remedy: 'Add it to the uri or as "hostname".',
    reference: 'O-320',
  },
  PSYNC_S1107: {
    severity: 'fatal',
    status: 500,
    summary: 'The connection has no username',
    remedy: 'Add it to the uri or as "username".',
    reference: 'O-321',
  },
  PSYNC_S1108: {
    severity: 'fatal',
    status: 500,
    summary: 'The connection has no password',
    remedy: 'Add it to the uri or as "password", preferably with !env.',
    reference: 'O-322',
  },
  PSYNC_S1109: {
    severity: 'fatal',
    status: 500,
    summary: 'The database URI is invalid',
    remedy: 'Use the scheme of the connection type and percent-encode special characters in the password.',
    reference: 'O-323',
  },
  PSYNC_S1110: {
    severity: 'fatal',
    status: 500,
    summary: 'The port is outside 1024-65535',
    remedy: 'Use a port from 1024 to 65535.',
    reference: 'O-324',
  },
  PSYNC_S1160: {
    severity: 'fatal',
    status: 500,
    summary: 'The sslmode is not supported',
    remedy: 'Use verify-full, verify-ca (with cacert) or disable.',
  },
  PSYNC_S1161: {
    severity: 'fatal',
    status: 500,
    summary: 'A certificate or private key is not usable PEM text',
    remedy: 'Give the PEM text itself, not a file path, with its BEGIN and END lines.',
  },
  PSYNC_S1162: {
    severity: 'error',
    status: 500,
    summary: 'The database address lies in a range that reject_ip_ranges forbids',
    remedy: 'Use an address outside these ranges, or change reject_ip_ranges.',
  },
  PSYNC_S1163: {
    severity: 'error',
    status: 500,
    summary: 'The server certificate is not trusted',
    remedy: 'Give the authority that signed it as cacert, or correct hostname or tls_servername.',
  },
  PSYNC_S1120: {
    severity: 'error',
    status: 500,
    summary: 'A query on the source failed',
    remedy: 'See the cause.',
    reference: 'O-325',
  },
  PSYNC_S1121: {
    severity: 'error',
    status: 500,
    summary: 'Socket timeout during a query on the source',
    remedy: 'Check the load of the source and the network between.',
    reference: 'O-326',
  },
  PSYNC_S1141: {
    severity: 'error',
    status: 500,
    summary: 'The publication does not exist',
    remedy: 'CREATE PUBLICATION powersync FOR ALL TABLES, or for the tables of the sync config.',
    reference: 'O-327',
  },
  PSYNC_S1142: {
    severity: 'error',
    status: 500,
    summary: 'The publication does not publish all operations',
    remedy: 'Recreate it without the "publish" option, so that insert, update, delete and truncate are published.',
    reference: 'O-328',
  },
  PSYNC_S1143: {
    severity: 'error',
    status: 500,
    summary: 'The publication uses publish_via_partition_root',
    remedy: 'Set publish_via_partition_root to false, so that the partitions themselves are published.',
    reference: 'O-329',
  },
  PSYNC_S1144: {
    severity: 'fatal',
    status: 500,
    summary: 'Source and storage are on one Postgres server older than version 14',
    remedy: 'Upgrade the server, or use another one for bucket storage.',
    reference: 'O-330',
  },
  PSYNC_S1145: {
    severity: 'warning',
    status: 500,
    summary: 'A table has row-level security and the role lacks BYPASSRLS',
    remedy: 'ALTER ROLE … BYPASSRLS, or keep policies that let the role read every row.',
    reference: 'O-331',
  },
  PSYNC_S1146: {
    severity: 'fatal',
    status: 500,
    summary: 'The replication slot was invalidated',
    remedy: 'Raise max_slot_wal_keep_size; the tables are copied again with a new slot.',
    reference: 'O-332',
  },

  // Tables of a Postgres source: reported per table, the others go on.
  PSYNC_S1150: {
    severity: 'fatal',
    status: 500,
    summary: 'The table has no usable replica identity and is not replicated',
    remedy: 'Add a primary key, or ALTER TABLE … REPLICA IDENTITY FULL (or USING INDEX …).',
  },
  PSYNC_S1151: {
    severity: 'fatal',
    status: 500,
    summary: 'The table is not in the publication',
    remedy: 'ALTER PUBLICATION powersync ADD TABLE …; its rows are copied with its next change.',
  },
  PSYNC_S1152: {
    severity: 'fatal',
    status: 500,
    summary: 'The role may not read the table',
    remedy: 'GRANT USAGE on its schema and SELECT on the table to the role of the connection.',
  },
  PSYNC_S1153: {
    severity: 'fatal',
    status: 500,
    summary: 'Views, materialized views and foreign tables cannot be replicated',
    remedy: 'Use the tables the view reads, or copy the data into a table.',
  },
  PSYNC_S1154: {
    severity: 'warning',
    status: 500,
    summary: 'The publication shows only a part of the table',
    remedy:
      'Columns outside its column list are absent, rows outside its filter are not synced; redeploy after changing either.',
  },
  // Postgres source: connection and server.
  PSYNC_S1170: {
    severity: 'error',
    status: 500,
    summary: 'The source database cannot be reached',
    remedy: 'It is tried again for ever; check host, port, network and whether the server runs.',
  },
  PSYNC_S1171: {
    severity: 'error',
    status: 500,
    summary: 'The source database refused the login',
    remedy: 'Check username, password and database of the connection, and pg_hba.conf of the server.',
  },
  PSYNC_S1172: {
    severity: 'error',
    status: 500,
    summary: 'The role may not replicate',
    remedy: 'ALTER ROLE … REPLICATION (AWS RDS: GRANT rds_replication TO …).',
  },
  PSYNC_S1173: {
    severity: 'fatal',
    status: 500,
    summary: 'wal_level of the source is not logical',
    remedy: 'ALTER SYSTEM SET wal_level = logical and restart the server (or the setting of the provider).',
  },
  PSYNC_S1174: {
    severity: 'error',
    status: 500,
    summary: 'All replication slots or connections of the source are in use',
    remedy: 'Drop slots that are not needed, or raise max_replication_slots, max_wal_senders or max_connections.',
  },
  PSYNC_S1175: {
    severity: 'fatal',
    status: 500,
    summary: 'The version of the source database is not supported',
    remedy: 'Upgrade to Postgres 11 or later.',
  },
  PSYNC_S1176: {
    severity: 'error',
    status: 500,
    summary: 'None of the hosts is a primary',
    remedy: 'Wait for the fail-over to end, or add the host of the primary to the connection.',
  },
  PSYNC_S1177: {
    severity: 'error',
    status: 500,
    summary: 'The replication slot is used by another process',
    remedy: 'Normal while another replicator hands over; else end the backend that pg_replication_slots names.',
  },
  PSYNC_S1178: {
    severity: 'warning',
    status: 500,
    summary: 'Less than half of the WAL that the source keeps for a replication slot is left',
    remedy: 'Raise max_slot_wal_keep_size before the slot is lost, or let less be written while tables are copied.',
  },

  // -- S12: MySQL source (O-333) -------------------------------------------------------------------------------------

  // -- S13: MongoDB source -------------------------------------------------------------------------------------------
  PSYNC_S1301: {
    severity: 'error',
    status: 500,
    summary: 'MongoDB server error',
    remedy: 'See the cause.',
    reference: 'O-334',
  },
  PSYNC_S1302: {
    severity: 'error',
    status: 500,
    summary: 'MongoDB network error',
    remedy: 'Check the network between service and database.',
    reference: 'O-335',
  },
  PSYNC_S1303: {
    severity: 'error',
    status: 500,
    summary: 'MongoDB internal TLS error',
    remedy: 'Check the access list of Atlas.',
    reference: 'O-336',
  },
  PSYNC_S1304: {
    severity: 'error',
    status: 500,
    summary: 'MongoDB DNS error',
    remedy: 'Check the hostname.',
    reference: 'O-337',
  },
  PSYNC_S1305: {
    severity: 'error',
    status: 500,
    summary: 'MongoDB connection timeout',
    remedy: 'Check the hostname and the access list.',
    reference: 'O-338',
  },
  PSYNC_S1306: {
    severity: 'error',
    status: 500,
    summary: 'MongoDB authentication failed',
    remedy: 'Check username, password and authSource.',
    reference: 'O-339',
  },
  PSYNC_S1307: {
    severity: 'error',
    status: 500,
    summary: 'MongoDB authorization failed',
    remedy: 'Grant the roles the source needs.',
    reference: 'O-340',
  },
  PSYNC_S1341: {
    severity: 'fatal',
    status: 500,
    summary: 'Sharded MongoDB clusters are not supported',
    remedy: 'Use a replica set; run one instance per shard.',
    reference: 'O-341',
  },
  PSYNC_S1342: {
    severity: 'fatal',
    status: 500,
    summary: 'Standalone MongoDB servers are not supported',
    remedy: 'Make the server a replica set; one member is enough for development.',
    reference: 'O-342',
  },
  PSYNC_S1343: {
    severity: 'error',
    status: 500,
    summary: 'Post-images are not enabled on a collection',
    remedy: 'Enable changeStreamPreAndPostImages on it, or set post_images: auto_configure.',
    reference: 'O-343',
  },
  PSYNC_S1344: {
    severity: 'error',
    status: 500,
    summary: 'The change stream was invalidated',
    remedy: 'Nothing: replication starts again with a new stream.',
    reference: 'O-344',
  },
  PSYNC_S1345: {
    severity: 'error',
    status: 500,
    summary: 'The change stream timed out',
    remedy: 'Retried; if it lasts, replication starts from scratch.',
    reference: 'O-345',
  },
  PSYNC_S1346: {
    severity: 'error',
    status: 500,
    summary: 'The change stream cannot be read',
    remedy: 'See the cause.',
    reference: 'O-346',
  },
  PSYNC_S1347: {
    severity: 'error',
    status: 500,
    summary: 'Timeout getting a resume token for the first snapshot',
    remedy: 'Reduce the load on the source.',
    reference: 'O-347',
  },

  // -- S14: MongoDB storage ------------------------------------------------------------------------------------------
  PSYNC_S1402: {
    severity: 'error',
    status: 500,
    summary: 'A storage transaction was retried too often',
    remedy: 'Check the health and load of bucket storage.',
    reference: 'O-348',
  },

  // -- S15: change stream position -----------------------------------------------------------------------------------
  PSYNC_S1500: {
    severity: 'error',
    status: 500,
    summary: 'Change data is no longer available',
    remedy: 'The tables are copied again; raise the retention of the change stream.',
    reference: 'O-349',
  },

  // -- S16: SQL Server source ----------------------------------------------------------------------------------------
  PSYNC_S1601: {
    severity: 'error',
    status: 500,
    summary: 'A SQL Server capture instance was dropped while polling',
    remedy: 'Enable CDC on the table again.',
    reference: 'O-350',
  },

  // -- S20: API ------------------------------------------------------------------------------------------------------
  PSYNC_S2001: {
    severity: 'error',
    status: 500,
    summary: 'Internal server error',
    remedy: 'Look for the same time in the log of the service.',
    audience: 'client',
    reference: 'O-351',
  },
  PSYNC_S2002: {
    severity: 'info',
    status: 404,
    summary: 'The path does not exist on this server',
    remedy: 'Check method and path of the request.',
    audience: 'client',
    reference: 'O-352',
  },
  PSYNC_S2003: {
    severity: 'info',
    status: 503,
    summary: 'The service is restarting',
    remedy: 'Try again later.',
    audience: 'client',
    reference: 'O-353',
  },
  PSYNC_S2004: {
    severity: 'info',
    status: 415,
    summary: 'Unsupported media type',
    remedy: 'Send application/json, or what the route documents.',
    audience: 'client',
    reference: 'O-354',
  },
  PSYNC_S2020: {
    severity: 'info',
    status: 413,
    summary: 'The request body is too large',
    remedy: 'Send less in one request.',
    audience: 'client',
  },

  // -- S21: client authentication ------------------------------------------------------------------------------------
  PSYNC_S2101: {
    severity: 'info',
    status: 401,
    summary: 'Authentication failed',
    remedy: 'Check that the token is signed with a configured key and carries its kid.',
    audience: 'client',
    reference: 'O-355',
  },
  PSYNC_S2102: {
    severity: 'info',
    status: 401,
    summary: 'The signature of the token cannot be verified',
    remedy: 'Check that the token is signed with a configured key and carries its kid.',
    audience: 'client',
    reference: 'O-356',
  },
  PSYNC_S2103: {
    severity: 'info',
    status: 401,
    summary: 'The token has expired',
    remedy: 'Fetch a new token; check the clocks if it was new.',
    audience: 'client',
    reference: 'O-357',
  },
  PSYNC_S2104: {
    severity: 'info',
    status: 401,
    summary: 'The lifetime of the token is too long',
    remedy: 'Issue tokens with at most 86400 seconds between iat and exp.',
    audience: 'client',
    reference: 'O-358',
  },
  PSYNC_S2105: {
    severity: 'info',
    status: 401,
    summary: 'The audience of the token does not match or is missing',
    remedy: 'Issue tokens with an aud listed in client_auth.audience; the comparison is exact.',
    audience: 'client',
    reference: 'O-359',
  },
  PSYNC_S2106: {
    severity: 'info',
    status: 401,
    summary: 'No token was given',
    remedy: 'Send the header "Authorization: Token <JWT>" or "Authorization: Bearer <JWT>".',
    audience: 'client',
    reference: 'O-360',
  },
  PSYNC_S2120: {
    severity: 'info',
    status: 401,
    summary: 'The token has been revoked',
    remedy: 'Fetch a new token: one that is issued from now on is accepted again.',
    audience: 'client',
  },
  PSYNC_S2121: {
    severity: 'info',
    status: 401,
    summary: 'The issuer of the token does not match or is missing',
    remedy: 'Issue tokens with an iss listed in client_auth.issuer; the comparison is exact.',
    audience: 'client',
  },

  // -- S22: authentication configuration -----------------------------------------------------------------------------
  PSYNC_S2201: {
    severity: 'error',
    status: 500,
    summary: 'The authentication of the service is not configured correctly',
    remedy: 'Check client_auth in the service configuration.',
    reference: 'O-361',
  },
  PSYNC_S2202: {
    severity: 'error',
    status: 500,
    summary: 'The key set endpoint is reachable over IPv6 only, which is not enabled',
    remedy: 'Use an endpoint with an IPv4 address.',
    reference: 'O-362',
  },
  PSYNC_S2203: {
    severity: 'error',
    status: 500,
    summary: 'The address of the key set endpoint lies in a refused range',
    remedy: 'Use a public endpoint, or change client_auth.jwks_reject_ip_ranges.',
    reference: 'O-363',
  },
  PSYNC_S2204: {
    severity: 'error',
    status: 503,
    summary: 'The request for the key set failed',
    remedy: 'Check that the service can reach the endpoint and that it answers with a JSON Web Key Set.',
    reference: 'O-364',
  },

  // -- S23: sync API -------------------------------------------------------------------------------------------------
  PSYNC_S2302: {
    severity: 'warning',
    status: 500,
    summary: 'No sync config available',
    remedy: 'Deploy one, or wait until its first replication is done; see the log of the replicator.',
    audience: 'client',
    reference: 'O-365',
  },
  PSYNC_S2304: {
    severity: 'warning',
    status: 429,
    summary: 'Too many concurrent connections',
    remedy: 'Retry later; add API processes.',
    audience: 'client',
    reference: 'O-366',
  },
  PSYNC_S2305: {
    severity: 'warning',
    status: 500,
    summary: 'Too many buckets',
    remedy: 'Let the sync config make fewer buckets per user, or raise api.parameters.max_buckets_per_connection.',
    audience: 'client',
    reference: 'O-367',
  },

  // -- S24: bucket storage -------------------------------------------------------------------------------------------
  PSYNC_S2401: {
    severity: 'error',
    status: 500,
    summary: 'Bucket storage gives no cluster time',
    remedy: 'MongoDB storage must be a replica set.',
    reference: 'O-368',
  },
  PSYNC_S2402: {
    severity: 'error',
    status: 500,
    summary: 'The connection to bucket storage failed',
    remedy: 'Check that bucket storage is up and reachable.',
    reference: 'O-369',
  },
  PSYNC_S2403: {
    severity: 'error',
    status: 500,
    summary: 'A query on bucket storage timed out',
    remedy: 'Retry; check the load of bucket storage.',
    reference: 'O-370',
  },
  PSYNC_S2404: {
    severity: 'error',
    status: 500,
    summary: 'A query on bucket storage failed',
    remedy: 'See the cause in the log.',
    reference: 'O-371',
  },

  // -- S25: coordination between processes (Redis) -------------------------------------------------------------------
  PSYNC_S2501: {
    severity: 'info',
    status: 503,
    summary: 'Coordination was closed',
    remedy: 'Nothing: expected on shutdown.',
  },
  PSYNC_S2502: {
    severity: 'warning',
    status: 503,
    summary: 'Redis is not reachable',
    remedy:
      'Check that Redis is up and that redis.uri is right. Nothing is lost meanwhile; leadership, wake-ups and jobs are slower.',
  },
  PSYNC_S2503: {
    severity: 'warning',
    status: 500,
    summary: 'A lease was lost',
    remedy: 'Normal when Redis or this process stood still for longer than the lease; another process continues.',
  },
  PSYNC_S2504: {
    severity: 'warning',
    status: 503,
    summary: 'The job queue does not take this job',
    remedy: 'Too many jobs wait, or the job is too large: check that a compactor runs and what its log says.',
  },
  PSYNC_S2505: {
    severity: 'error',
    status: 500,
    summary: 'A job failed',
    remedy: 'See the cause. It is tried again, at the latest on the next schedule.',
  },
  PSYNC_S2506: {
    severity: 'warning',
    status: 500,
    summary: 'A message of another process cannot be read',
    remedy: 'Normal while two releases run side by side; else check that no other program uses this Redis key prefix.',
  },

  // -- S31: key set endpoints ----------------------------------------------------------------------------------------
  PSYNC_S3102: {
    severity: 'fatal',
    status: 500,
    summary: 'Invalid jwks_uri',
    remedy: 'Give an absolute http or https address.',
    reference: 'O-372',
  },
  PSYNC_S3103: {
    severity: 'fatal',
    status: 500,
    summary: 'jwks_uri must be http or https',
    remedy: 'Give an absolute http or https address.',
    reference: 'O-373',
  },
  PSYNC_S3120: {
    severity: 'fatal',
    status: 500,
    summary: 'A static key in client_auth.jwks is not usable',
    remedy: 'Give a JSON Web Key of type RSA, EC, OKP or oct with a supported algorithm.',
  },

  // -- S32: service configuration ------------------------------------------------------------------------------------
  PSYNC_S3201: {
    severity: 'fatal',
    status: 500,
    summary: 'The service configuration is invalid',
    remedy: 'Correct the keys named in details.',
    reference: 'O-374',
  },
  PSYNC_S3220: {
    severity: 'fatal',
    status: 500,
    summary: 'No service configuration was found',
    remedy: 'Pass -c <path> or -c64 <base64>, or set POWERSYNC_CONFIG_PATH or POWERSYNC_CONFIG_B64.',
  },
  PSYNC_S3221: {
    severity: 'fatal',
    status: 500,
    summary: 'The service configuration cannot be read',
    remedy: 'Check path and permissions of the file, or the base64 text.',
  },
  PSYNC_S3222: {
    severity: 'fatal',
    status: 500,
    summary: 'The service configuration is not valid YAML or JSON',
    remedy: 'Correct the named position.',
  },
  PSYNC_S3223: {
    severity: 'fatal',
    status: 500,
    summary: 'The service configuration has an unknown key',
    remedy: 'Correct the spelling, or remove the key.',
  },
  PSYNC_S3224: {
    severity: 'fatal',
    status: 500,
    summary: 'A key of the service configuration is missing or has an invalid value',
    remedy: 'Correct the named key.',
  },
  PSYNC_S3225: {
    severity: 'fatal',
    status: 500,
    summary: 'An environment variable of the service configuration cannot be used',
    remedy: 'Set the variable; its name must start with PS_, and its value must fit the cast.',
  },
  PSYNC_S3226: {
    severity: 'fatal',
    status: 500,
    summary: 'Two source connections have the same tag',
    remedy: 'Give each connection in replication.connections a tag of its own.',
  },

  // -- S40: admin API ------------------------------------------------------------------------------------------------
  PSYNC_S4001: {
    severity: 'error',
    status: 500,
    summary: 'Internal assertion of the admin API failed',
    remedy: 'This is a bug: report it with the log lines around it.',
    reference: 'O-375',
  },
  PSYNC_S4104: {
    severity: 'info',
    status: 422,
    summary: 'No active sync config',
    remedy: 'Deploy one.',
    audience: 'client',
    reference: 'O-376',
  },
  PSYNC_S4105: {
    severity: 'info',
    status: 422,
    summary: 'Deploying through the API is disabled',
    remedy: 'The sync config comes from the service configuration: change it there, or remove it from there.',
    audience: 'client',
    reference: 'O-377',
  },
  PSYNC_S4106: {
    severity: 'info',
    status: 409,
    summary: 'A sync config is being processed',
    remedy: 'Wait until processing ends, then try again.',
    audience: 'client',
    reference: 'wire/15',
  },
  PSYNC_S4107: {
    severity: 'error',
    status: 503,
    summary: 'The tables of the sources cannot be listed',
    remedy: 'See the message; "millrace test-connections" says what a source lacks.',
  },
  PSYNC_S4108: {
    severity: 'error',
    status: 409,
    summary: 'Too many revocations are recorded',
    remedy: 'They expire within a day. To refuse more tokens than that, replace the key that signed them.',
    audience: 'client',
  },
} as const satisfies Record<string, ErrorDefinition>;

/** Every registered code. A code outside the table does not compile. */
export type ErrorCode = keyof typeof ERROR_REGISTRY;

/** The definition of a code, with the optional fields visible to the type checker. */
export function errorDefinition(code: ErrorCode): ErrorDefinition {
  return ERROR_REGISTRY[code];
}
