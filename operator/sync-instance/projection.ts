/**
 * The part of a live object that is desired: what it has at each path of `desired`, as text to be compared. Lists count as a whole, because the API
 * server adds defaults to their items. Equal texts mean that nobody has changed what the operator owns, whatever else there is in the object.
 */
export function projection(live: unknown, desired: unknown): string {
  return JSON.stringify(project(live, desired)) ?? 'undefined';
}

function project(live: unknown, desired: unknown): unknown {
  if (Array.isArray(desired) || !isMap(desired) || !isMap(live)) return ordered(live);
  return Object.fromEntries(
    Object.keys(desired)
      .toSorted()
      .map((key) => [key, project(live[key], desired[key])]),
  );
}

/** Keys in one order: the API server does not promise any. */
export function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  if (!isMap(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .toSorted()
      .map((key) => [key, ordered(value[key])]),
  );
}

function isMap(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
