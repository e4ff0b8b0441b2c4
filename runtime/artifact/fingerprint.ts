import type { BigIntStats } from 'node:fs';

/**
 * What a file looked like when its content was last checked. Not its change time: that moves whenever an instance's folder
 * links the file.
 */
export interface Fingerprint {
  readonly sizeBytes: number;
  readonly modifiedNs: string;
  readonly inode: string;
}

export const fingerprintOf = (info: BigIntStats): Fingerprint => ({
  sizeBytes: Number(info.size),
  modifiedNs: String(info.mtimeNs),
  inode: `${info.dev}:${info.ino}`,
});

export const sameFingerprint = (a: Fingerprint, b: Fingerprint): boolean =>
  a.sizeBytes === b.sizeBytes && a.modifiedNs === b.modifiedNs && a.inode === b.inode;
