import { fileURLToPath } from 'node:url';

/**
 * Absolute path of a process or worker entry in `dist`, such as `runtime/instance/main.js`. Processes and workers run
 * the build also when their parent runs from sources (under vitest): Node 20 cannot run TypeScript.
 */
export function entryPath(relative: string): string {
  const fromSources = import.meta.url.endsWith('.ts');
  return fileURLToPath(
    new URL(fromSources ? `../dist/${relative}` : `../${relative}`, import.meta.url),
  );
}
