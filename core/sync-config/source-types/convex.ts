/** Convex (S-362…S-371): names of its documentation and of its validators (`v.float64()`), parameters in `()` or `<>`. */
import { plainTypeName, typeTable, unionMapping } from './type-names.ts';

const becomes = typeTable([
  [['id'], 'text'], // S-362
  [['null'], 'null'], // S-363
  // text always (question 8 of chapter 23)
  [['int64', 'bigint'], 'text'], // S-364
  [['float64', 'number'], 'real'], // S-365
  [['boolean'], 'integer'], // S-366
  [['string'], 'text'], // S-367
  [['bytes'], 'text'], // S-368
  [['array'], 'text'], // S-369
  [['object'], 'text'], // S-370
  [['record'], 'text'], // S-371
]);

export const convexType = unionMapping((name) =>
  becomes(plainTypeName(name.replace('<', '(').replace(/>(?=[^>]*$)/, ')')).replace(/^v\./, '')),
);
