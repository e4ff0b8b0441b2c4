/** What a number on the command line may be; both ends are allowed. */
interface NumberRange {
  readonly least?: number;
  readonly most?: number;
  /** No fraction. */
  readonly whole?: boolean;
}

function expected({ least, most, whole }: NumberRange): string {
  const noun = whole ? 'a whole number' : 'a number';
  if (least !== undefined && most !== undefined) return `${noun} from ${least} to ${most}`;
  return least === undefined ? noun : `${noun} of at least ${least}`;
}

/** @returns NaN where it is no number */
const numberOf = (given: unknown): number =>
  typeof given === 'string' && given.trim() !== '' ? Number(given) : Number.NaN;

/**
 * An option that takes one number. yargs alone reads `--port abc` as NaN and `--port 1 --port 2` as a list, and says
 * nothing.
 *
 * @param option - as it is written: `--port`
 */
export function numeric(option: string, range: NumberRange = {}) {
  const { least = Number.NEGATIVE_INFINITY, most = Number.POSITIVE_INFINITY, whole } = range;
  return {
    type: 'number',
    // Read as it was typed, or what is no number could not be told.
    string: true,
    requiresArg: true,
    coerce(given: unknown): number {
      // A default is no text.
      const value = typeof given === 'number' ? given : numberOf(given);
      if (value >= least && value <= most) {
        if (Number.isFinite(value) && (!whole || Number.isSafeInteger(value))) return value;
      }
      const seen = [given].flat().map((one) => (numberOf(one) === Number(one) ? one : `'${one}'`));
      throw new Error(`${option} must be ${expected(range)}; got ${seen.join(' and ')}.`);
    },
  } as const;
}
