/** JavaScript modules: the TypeScript file without its types. */
import type { EmitSchema } from './contract.ts';
import { typedStreams } from './ecmascript.ts';
import { file, header } from './lines.ts';
import { tablesAndSchema } from './ts.ts';

export const emitJavaScript: EmitSchema = (schema) =>
  file([header('js'), ...tablesAndSchema(schema), typedStreams(schema, 'js')]);
