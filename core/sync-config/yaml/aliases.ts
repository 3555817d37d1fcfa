import { visit, type Alias, type Document, type Node } from 'yaml';

/**
 * What each alias of the document stands for: the last node above it with its anchor (YAML 1.2, 3.2.2.2). Found in one walk: asking each
 * alias walks the document for each, which lets a small file hold up a process for minutes.
 */
export function resolveAliases(document: Document): Map<Alias, Node> {
  const anchors = new Map<string, Node>();
  const aliases = new Map<Alias, Node>();
  visit(document, {
    Alias: (_key, alias) => {
      const target = anchors.get(alias.source);
      if (target !== undefined) aliases.set(alias, target);
    },
    Value: (_key, node) => {
      if (node.anchor !== undefined) anchors.set(node.anchor, node);
    },
  });
  return aliases;
}
