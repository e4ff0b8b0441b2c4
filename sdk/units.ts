import { AiosError } from './errors.ts';

const byteUnits: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1e3,
  kb: 1e3,
  m: 1e6,
  mb: 1e6,
  g: 1e9,
  gb: 1e9,
  t: 1e12,
  tb: 1e12,
  ki: 2 ** 10,
  kib: 2 ** 10,
  mi: 2 ** 20,
  mib: 2 ** 20,
  gi: 2 ** 30,
  gib: 2 ** 30,
  ti: 2 ** 40,
  tib: 2 ** 40,
};
const durationUnits: Readonly<Record<string, number>> = {
  '': 1,
  ms: 1,
  s: 1e3,
  m: 60e3,
  min: 60e3,
  h: 3600e3,
  d: 86_400e3,
};

/** One AIOS «MB»: its documents mean 2^20 bytes. */
export const mebibyte = 2 ** 20;

function parseQuantity(
  text: string | number,
  units: Readonly<Record<string, number>>,
  expected: string,
): number {
  const match = /^\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*$/.exec(String(text));
  const factor = match ? units[(match[2] ?? '').toLowerCase()] : undefined;
  const value = match && factor !== undefined ? Number(match[1]) * factor : Number.NaN;
  if (!Number.isFinite(value) || value > Number.MAX_SAFE_INTEGER) {
    throw new AiosError(
      'QUANTITY_MALFORMED',
      `${JSON.stringify(text)} is not a quantity; expected ${expected}.`,
    );
  }
  return Math.round(value);
}

/** `'2Gi'` → 2147483648, `'500MB'` → 500000000; a bare number is bytes. */
export const parseBytes = (text: string | number): number =>
  parseQuantity(text, byteUnits, "bytes, such as 1048576, '512Mi' or '2GB'");

/** `'30s'` → 30000, `'5m'` → 300000; a bare number is milliseconds. */
export const parseDurationMs = (text: string | number): number =>
  parseQuantity(text, durationUnits, "a duration, such as 1500, '30s' or '5m'");

/** @returns for people: `1.5 GiB`, `62.0 MiB`, `17 B`. */
export function formatBytes(bytes: number): string {
  const steps = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let step = 0;
  while (Math.abs(value) >= 1024 && step < steps.length - 1) {
    value /= 1024;
    step += 1;
  }
  return `${step === 0 ? value : value.toFixed(1)} ${steps[step]}`;
}

/** @returns for people: `412 ms`, `3.2 s`, `5 min`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 10) return `${milliseconds.toFixed(2)} ms`;
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 120_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${Math.round(milliseconds / 60_000)} min`;
}
