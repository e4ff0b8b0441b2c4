/** One step of a source map: this place of the bundle came from that line of that source. */
export interface Mapping {
  readonly generatedLine: number;
  readonly generatedColumn: number;
  readonly source: number;
  readonly line: number;
}

const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Numbers of one segment: base 64, least significant first, the sign in the lowest bit. */
function decodeSegment(text: string): number[] {
  const numbers: number[] = [];
  let value = 0;
  let shift = 0;
  for (const letter of text) {
    const digit = digits.indexOf(letter);
    value |= (digit & 31) << shift;
    shift += 5;
    if ((digit & 32) !== 0) continue;
    numbers.push((value & 1) === 1 ? -(value >>> 1) : value >>> 1);
    value = 0;
    shift = 0;
  }
  return numbers;
}

/** All of a source map's mappings, in the order of the bundle; lines and columns from 0. Node's own reader answers single places only. */
export function* decodeMappings(mappings: string): Generator<Mapping> {
  let source = 0;
  let line = 0;
  for (const [generatedLine, segments] of mappings.split(';').entries()) {
    let generatedColumn = 0;
    for (const segment of segments.split(',')) {
      if (segment === '') continue;
      const [column = 0, sourceStep, lineStep] = decodeSegment(segment);
      generatedColumn += column;
      if (sourceStep === undefined || lineStep === undefined) continue;
      source += sourceStep;
      line += lineStep;
      yield { generatedLine, generatedColumn, source, line };
    }
  }
}
