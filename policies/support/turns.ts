/**
 * Who comes next. The last id counts, not a position: instances come and go without anyone being served twice in a row.
 *
 * @returns `''` of none
 */
export function nextInTurn(instances: readonly { readonly id: string }[], last: unknown): string {
  const ids = instances.map(({ id }) => id).sort();
  return ids.find((id) => typeof last === 'string' && id > last) ?? ids[0] ?? '';
}
