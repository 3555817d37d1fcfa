import { definitionYaml } from './definition.ts';
import { referencePage } from './reference-page.ts';

/** Files that come from the definition, by their path from the repository's root. */
export function generatedFiles(): { path: string; content: string }[] {
  return [
    { path: 'crds/millrace.dev_syncinstances.yaml', content: definitionYaml() },
    { path: 'docs/reference/sync-instance.md', content: referencePage() },
  ];
}
