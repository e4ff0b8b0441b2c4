export interface ParsedFamily {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly value: number;
  }[];
}

const name = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const label = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const sampleForm = new RegExp(`^(${name})(?:\\{(${label}(?:,${label})*)\\})? (\\S+)$`);
const labelForm = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"/g;
const number = /^[+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf|NaN)$/i;

const unescaped = (text: string): string =>
  text.replace(/\\(["\\n])/g, (_, it: string) => (it === 'n' ? '\n' : it));

/** Reads Prometheus' text format 0.0.4 by its grammar. @throws where a text is not of it */
export function parseExposition(text: string): readonly ParsedFamily[] {
  if (text === '') return [];
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const families = new Map<string, ParsedFamily>();
  let help: readonly [string, string] | undefined;
  let current: ParsedFamily | undefined;
  // Only \n ends a line; \r and others may stand in a label.
  for (const line of text.slice(0, -1).split('\n')) {
    const helpLine = new RegExp(`^# HELP (${name}) (.*)$`, 's').exec(line);
    const typeLine = new RegExp(`^# TYPE (${name}) (counter|gauge|histogram)$`).exec(line);
    if (helpLine) {
      help = [helpLine[1] ?? '', helpLine[2] ?? ''];
    } else if (typeLine) {
      const [, own = '', type = ''] = typeLine;
      if (families.has(own)) throw new Error(`${own} comes twice`);
      if (help?.[0] !== own) throw new Error(`${own} has no help before its type`);
      if (type === 'counter' && !own.endsWith('_total')) throw new Error(`${own}: no _total`);
      current = { name: own, type, help: help[1], samples: [] };
      families.set(own, current);
    } else {
      const match = sampleForm.exec(line);
      if (!match) throw new Error(`no sample: ${line}`);
      const [, own = '', labels = '', value = ''] = match;
      const ofFamily =
        current?.type === 'histogram' ? own.replace(/_(bucket|sum|count)$/, '') : own;
      if (ofFamily !== current?.name) throw new Error(`${own} is outside its family`);
      if (!number.test(value)) throw new Error(`no number: ${value}`);
      const pairs = [...labels.matchAll(labelForm)].map(([, key = '', it = '']) => [
        key,
        unescaped(it),
      ]);
      current.samples.push({ name: own, labels: Object.fromEntries(pairs), value: Number(value) });
    }
  }
  return [...families.values()];
}
