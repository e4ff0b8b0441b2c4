import type { HistogramReading } from './histogram.ts';

/** Prometheus' text format, version 0.0.4. */
export const expositionType = 'text/plain; version=0.0.4; charset=utf-8';

export type Labels = Readonly<Record<string, string>>;

export interface Family {
  /** Base unit last; a counter's ends with `_total`. */
  readonly name: string;
  readonly type: 'gauge' | 'counter' | 'histogram';
  readonly help: string;
}

export interface Exposition {
  /** A family of the same name goes on where it was; what is not finite is left out. */
  add(family: Family, labels: Labels, value: number | undefined): void;
  /** All of its buckets, or none where there is no room. */
  addHistogram(family: Family, labels: Labels, reading: HistogramReading | undefined): void;
  /** Samples that there was no room for. */
  readonly dropped: number;
  toString(): string;
}

const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const labelName = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/** Beyond this many characters a label's value says no more than before. */
const maxLabelLength = 256;

const escapeHelp = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
const escapeLabel = (text: string): string => escapeHelp(text).replaceAll('"', '\\"');

function checked(name: string, form: RegExp): string {
  if (!form.test(name)) throw new TypeError(`'${name}' is no name in Prometheus' format`);
  return name;
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(
    ([label, text]) =>
      `${checked(label, labelName)}="${escapeLabel(text.slice(0, maxLabelLength))}"`,
  );
  return pairs.length > 0 ? `{${pairs.join(',')}}` : '';
}

/** @param maxSamples - more are counted, not written: whoever scrapes must not fall over a large network */
export function createExposition(maxSamples: number): Exposition {
  const families = new Map<string, { readonly family: Family; readonly lines: string[] }>();
  /** The labels of a node stand at each of its samples. */
  const texts = new WeakMap<Labels, string>();
  let samples = 0;
  let dropped = 0;

  function linesOf(family: Family): string[] {
    let entry = families.get(family.name);
    if (!entry) {
      entry = { family, lines: [] };
      families.set(checked(family.name, metricName), entry);
    }
    return entry.lines;
  }
  function textOf(labels: Labels): string {
    const text = texts.get(labels) ?? labelText(labels);
    texts.set(labels, text);
    return text;
  }
  function hasRoom(count: number): boolean {
    const fits = samples + count <= maxSamples;
    if (fits) samples += count;
    else dropped += count;
    return fits;
  }

  return {
    add(family, labels, value) {
      if (value === undefined || !Number.isFinite(value) || !hasRoom(1)) return;
      linesOf(family).push(`${family.name}${textOf(labels)} ${value}`);
    },
    addHistogram(family, labels, reading) {
      if (!reading || !hasRoom(reading.bounds.length + 3)) return;
      const { bounds, upTo, count, sum } = reading;
      const { name } = family;
      const buckets = bounds.map((bound, at) => [String(bound), upTo[at] ?? 0] as const);
      linesOf(family).push(
        ...[...buckets, ['+Inf', count] as const].map(
          ([le, value]) => `${name}_bucket${labelText({ ...labels, le })} ${value}`,
        ),
        `${name}_sum${textOf(labels)} ${sum}`,
        `${name}_count${textOf(labels)} ${count}`,
      );
    },
    get dropped() {
      return dropped;
    },
    toString() {
      // The format wants all samples of a family together, after its HELP and TYPE.
      const blocks = [...families.values()].map(({ family: { name, help, type }, lines }) =>
        [`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${type}`, ...lines].join('\n'),
      );
      return blocks.length > 0 ? `${blocks.join('\n')}\n` : '';
    },
  };
}
