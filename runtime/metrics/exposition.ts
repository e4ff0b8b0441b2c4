/** Prometheus' text format, version 0.0.4. */
export const expositionType = 'text/plain; version=0.0.4; charset=utf-8';

export type Labels = Readonly<Record<string, string>>;

export interface Family {
  /** Base unit last; a counter's ends with `_total`. */
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
}

export interface Exposition {
  /** A family of the same name goes on where it was; what is not finite is left out. */
  add(family: Family, labels: Labels, value: number | undefined): void;
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
  return {
    add(family, labels, value) {
      if (value === undefined || !Number.isFinite(value)) return;
      if (samples >= maxSamples) {
        dropped += 1;
        return;
      }
      samples += 1;
      let entry = families.get(family.name);
      if (!entry) {
        entry = { family, lines: [] };
        families.set(checked(family.name, metricName), entry);
      }
      const text = texts.get(labels) ?? labelText(labels);
      texts.set(labels, text);
      entry.lines.push(`${family.name}${text} ${value}`);
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
