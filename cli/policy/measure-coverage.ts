import { fork } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { entryPath } from '../../runtime/entry.ts';
import type { Bundle } from '../bundle.ts';
import type { PolicyCase } from './cases.ts';
import { type FileCoverage, lineCoverage } from './coverage.ts';
import type { CoverageReport, CoverageRequest } from './coverage-process.ts';

const timeLimitMs = 30_000;

export interface Measured {
  readonly files: readonly FileCoverage[];
  /** One a case, as JSON text, from outside the sandbox. */
  readonly outputs: readonly (string | undefined)[];
}

/**
 * Line coverage of an author's policy over its cases. A policy that never ends is ended; the sandbox has said so already.
 *
 * @returns nothing when it could not be measured
 */
export async function measureCoverage(
  { code }: Bundle,
  cases: readonly PolicyCase[],
): Promise<Measured | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'aios-coverage-'));
  try {
    const file = join(folder, 'policy.mjs');
    await writeFile(file, code);
    const report = await new Promise<CoverageReport | undefined>((resolve) => {
      const child = fork(entryPath('cli/policy/coverage-process.js'), [], {
        stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
        serialization: 'advanced',
        timeout: timeLimitMs,
        killSignal: 'SIGKILL',
      });
      child.once('message', (message) => {
        resolve('outputs' in (message as object) ? (message as CoverageReport) : undefined);
      });
      child.once('error', () => resolve(undefined));
      child.once('exit', () => resolve(undefined));
      const request: CoverageRequest = { file, cases };
      child.send(request);
    });
    if (!report?.coverage) return undefined;
    const text = Buffer.from(code).toString('utf8');
    return { files: lineCoverage(text, report.coverage), outputs: report.outputs };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
