import { decodeMappings } from './source-map.ts';

/** What V8 counts: ranges of a script, each with how often it ran; inner ranges say more. */
export interface ScriptCoverage {
  readonly functions: readonly {
    readonly ranges: readonly {
      readonly startOffset: number;
      readonly endOffset: number;
      readonly count: number;
    }[];
  }[];
}

/** Of one source file. */
export interface FileCoverage {
  readonly file: string;
  readonly lines: number;
  readonly covered: number;
  /** From 1. */
  readonly uncovered: readonly number[];
}

const mapPattern = /\/\/# sourceMappingURL=data:application\/json;base64,([A-Za-z0-9+/=]+)\s*$/;
/** Files that the bundle holds and the author did not write. */
const foreign = /(?:^|[\\/])(?:node_modules|aios-sdk)[\\/]/;

/** The end of something is nothing that runs. */
const closers = new Set(['}', ')', ']', ';', ',']);

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

/** How often the code at an offset ran: the innermost range that holds it decides. */
function createCounter({ functions }: ScriptCoverage): (offset: number) => number {
  const ranges = functions.flatMap((each) => each.ranges);
  return (offset) => {
    let count = 0;
    let size = Number.POSITIVE_INFINITY;
    for (const range of ranges) {
      const length = range.endOffset - range.startOffset;
      if (offset < range.startOffset || offset >= range.endOffset || length >= size) continue;
      size = length;
      count = range.count;
    }
    return count;
  };
}

/** Lines of the author's own files that ran, from what V8 counted in the bundle. */
export function lineCoverage(bundle: string, coverage: ScriptCoverage): readonly FileCoverage[] {
  const encoded = mapPattern.exec(bundle)?.[1];
  if (!encoded) return [];
  const map: { readonly sources: readonly string[]; readonly mappings: string } = JSON.parse(
    Buffer.from(encoded, 'base64').toString('utf8'),
  );
  const starts = lineStarts(bundle);
  const countAt = createCounter(coverage);
  const files = new Map<string, Map<number, boolean>>();
  for (const { generatedLine, generatedColumn, source, line } of decodeMappings(map.mappings)) {
    const file = map.sources[source];
    if (file === undefined || foreign.test(file)) continue;
    const offset = (starts[generatedLine] ?? 0) + generatedColumn;
    if (closers.has(bundle.charAt(offset))) continue;
    const lines = files.get(file) ?? new Map<number, boolean>();
    files.set(file, lines);
    const ran = countAt(offset) > 0;
    lines.set(line + 1, (lines.get(line + 1) ?? false) || ran);
  }
  return [...files].map(([file, lines]) => {
    const uncovered = [...lines].flatMap(([line, ran]) => (ran ? [] : [line]));
    uncovered.sort((a, b) => a - b);
    return { file, lines: lines.size, covered: lines.size - uncovered.length, uncovered };
  });
}

/** `3, 7–9, 12`. */
export function lineRanges(lines: readonly number[]): string {
  const texts: string[] = [];
  for (let at = 0; at < lines.length; ) {
    let end = at;
    while (lines[end + 1] === (lines[end] ?? 0) + 1) end += 1;
    texts.push(end === at ? `${lines[at]}` : `${lines[at]}–${lines[end]}`);
    at = end + 1;
  }
  return texts.join(', ');
}
