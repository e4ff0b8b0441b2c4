import { shorten } from '../../../sdk/errors.ts';

/** Of a list, as many are shown. */
export const shownElements = 20;

/** As JSON, shortened; a document nested too deep to be written is shown as what it is. */
export function showJson(value: unknown): string {
  try {
    return shorten(value);
  } catch {
    return Array.isArray(value) ? '[…]' : '{…}';
  }
}

/** A value as the document wrote it, on one line. */
export function showValue(value: unknown): string {
  const plain = (each: unknown): string => (typeof each === 'string' ? each : showJson(each));
  const text = Array.isArray(value) ? `[${value.map(plain).join(', ')}]` : plain(value);
  return text.length <= 80 ? text : `${text.slice(0, 77)}…`;
}

/** A value as it was found. */
export function showSeen(seen: unknown): string {
  if (seen === undefined || Number.isNaN(seen)) return 'not known';
  if (typeof seen === 'number') return String(Math.round(seen * 100) / 100);
  if (!Array.isArray(seen)) return showValue(seen);
  return seen.length === 0 ? 'none' : showValue(seen.slice(0, shownElements).map(showSeen));
}
