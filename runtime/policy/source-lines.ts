import { SourceMap, type SourceMapPayload } from 'node:module';

/** File name that a bundle has inside the sandbox. */
export const bundleName = 'policy.js';

const mapPattern =
  /\/\/# sourceMappingURL=data:application\/json(?:;charset=[\w-]+)?;base64,([A-Za-z0-9+/=]+)\s*$/;
const framePattern = /\bpolicy\.js:(\d+)(?::(\d+))?/;

function readMap(source: string): SourceMap | undefined {
  const encoded = mapPattern.exec(source)?.[1];
  if (!encoded) return undefined;
  try {
    const text = Buffer.from(encoded, 'base64').toString('utf8');
    return new SourceMap(JSON.parse(text) as SourceMapPayload);
  } catch {
    return undefined;
  }
}

/** @returns a function from a stack to where the author's file stood, such as `gpu-picker.ts:12`, or the bundle's line */
export function createLineFinder(source: string): (stack: string) => string | undefined {
  let map: SourceMap | undefined;
  let read = false;
  return (stack) => {
    const frame = framePattern.exec(stack);
    if (!frame) return undefined;
    if (!read) map = readMap(source);
    read = true;
    const line = Number(frame[1]);
    const entry = map?.findEntry(line - 1, Number(frame[2] ?? 1) - 1);
    if (!entry || !('originalSource' in entry)) return `${bundleName}:${line}`;
    const file = entry.originalSource.split(/[\\/]/).at(-1) ?? bundleName;
    return `${file.slice(0, 100)}:${entry.originalLine + 1}`;
  };
}
