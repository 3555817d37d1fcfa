/** Why a row cannot be replicated: it is too large, or holds JSON that is nested too deeply. What is logged of it. */
export type RowFault =
  | { readonly code: 'PSYNC_S1002'; readonly bytes: number }
  | { readonly code: 'PSYNC_S1004'; readonly column: string };
