import { SourceMap, type SourceMapPayload } from 'node:module';

/** File name that a bundle has inside the sandbox. */
export const bundleName = 'policy.js';

const mapPattern =
  /\/\/# sourceMappingURL=data:application\/json(?:;charset=[\w-]+)?;base64,([A-Za-z0-9+/=]+)\s*$/;
const framePattern = /\bpolicy\.js:(\d+)(?::(\d+))?/g;
/** Files that an author's bundle holds, and somebody else wrote. */
const foreignPattern = /(?:^|[\\/])(?:node_modules|aios-sdk)[\\/]/;

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

interface Place {
  readonly file: string;
  readonly line: number;
  readonly foreign: boolean;
}

function placeOf(map: SourceMap | undefined, line: number, column: number): Place {
  const entry = map?.findEntry(line - 1, column - 1);
  if (!entry || !('originalSource' in entry)) return { file: bundleName, line, foreign: true };
  const { originalSource, originalLine } = entry;
  return {
    file: originalSource.split(/[\\/]/).at(-1) ?? bundleName,
    line: originalLine + 1,
    foreign: foreignPattern.test(originalSource),
  };
}

/**
 * @returns a function from a stack to where it was in the author's own files, such as `gpu-picker.ts:12`; else in what
 *   they import, or the bundle
 */
export function createLineFinder(source: string): (stack: string) => string | undefined {
  let map: SourceMap | undefined;
  let read = false;
  return (stack) => {
    const frames = [...stack.matchAll(framePattern)];
    if (frames.length === 0) return undefined;
    if (!read) map = readMap(source);
    read = true;
    const places = frames.map(([, line, column]) =>
      placeOf(map, Number(line), Number(column ?? 1)),
    );
    const place = places.find(({ foreign }) => !foreign) ?? places[0];
    return place && `${place.file.slice(0, 100)}:${place.line}`;
  };
}
