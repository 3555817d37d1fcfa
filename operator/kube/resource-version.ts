/**
 * True when `version` is older than `other`. Resource versions of one kind are numbers of any length that only grow; Kubernetes promises so since 1.35
 * (KEP-5504) and has always done so. What is no number is never older: then the newest that arrived counts.
 */
export function isOlder(version: string | undefined, other: string | undefined): boolean {
  if (version === undefined || other === undefined || !isNumber(version) || !isNumber(other)) return false;
  return version.length === other.length ? version < other : version.length < other.length;
}

function isNumber(version: string): boolean {
  return /^[1-9]\d*$/.test(version);
}
