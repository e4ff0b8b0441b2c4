import type { ComponentSpec } from '../../sdk/spec/component.ts';
import type { VdagSpec } from '../../sdk/spec/vdag.ts';

type Schema = Readonly<Record<string, unknown>>;
type Protocols = Pick<ComponentSpec, 'inputProtocol' | 'outputProtocol'>;

/** A node that will be given what its protocol cannot take. */
export interface Mismatch {
  /** Index of the edge that brings it. */
  readonly edge: number;
  readonly message: string;
}

const isSchema = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function propertiesOf({ properties }: Schema): Schema | undefined {
  return isSchema(properties) ? properties : undefined;
}

function typesOf({ type }: Schema): readonly string[] | undefined {
  if (typeof type === 'string') return [type];
  return Array.isArray(type) ? type.map(String) : undefined;
}

const fits = (given: string, wanted: string): boolean =>
  given === wanted || (given === 'integer' && wanted === 'number');

/**
 * What values of `given` lack to be values of `wanted`, as far as types and keys tell: two schemas cannot be compared
 * in general, and a warning must not be wrong.
 */
function shortcomings(given: Schema, wanted: Schema, at: string): readonly string[] {
  const [from, to] = [typesOf(given), typesOf(wanted)];
  if (from && to && !from.some((one) => to.some((other) => fits(one, other)))) {
    return [`${at} is of type ${from.join(' or ')}, not ${to.join(' or ')}`];
  }
  const [has, takes] = [propertiesOf(given), propertiesOf(wanted)];
  if (!has) return [];
  const found: string[] = [];
  const required = Array.isArray(wanted.required) ? wanted.required.map(String) : [];
  const isClosed = given.additionalProperties === undefined || given.additionalProperties === false;
  for (const key of required) {
    if (isClosed && !Object.hasOwn(has, key)) found.push(`${at} has no '${key}'`);
  }
  for (const [key, value] of Object.entries(has)) {
    const expected = takes && Object.hasOwn(takes, key) ? takes[key] : undefined;
    if (isSchema(value) && isSchema(expected)) {
      found.push(...shortcomings(value, expected, `'${key}' of ${at}`));
    } else if (takes && expected === undefined && wanted.additionalProperties === false) {
      found.push(`${at} has '${key}', which is not taken`);
    }
  }
  return found;
}

/** The part of an output that an edge hands on. */
function handedOn(output: Schema | undefined, names: readonly string[]): Schema {
  const properties = output && propertiesOf(output);
  if (!output || names.length === 0) return output ?? {};
  const known = names.map((name): [string, unknown] => [name, properties?.[name] ?? {}]);
  return { type: 'object', properties: Object.fromEntries(known), required: names };
}

/**
 * Compares what each node of a graph is given with the input protocol of what runs there: the one upstream's output, or
 * an object of outputs by label where there are several.
 *
 * @param protocolsOf - of what runs at a node, by label; undefined where that is not known
 */
export function findMismatches(
  { edges }: Pick<VdagSpec, 'edges'>,
  protocolsOf: (label: string) => Protocols | undefined,
): readonly Mismatch[] {
  const found: Mismatch[] = [];
  for (const to of new Set(edges.map((edge) => edge.to))) {
    const wanted = protocolsOf(to)?.inputProtocol;
    const inputs = [...edges.entries()].filter(([, edge]) => edge.to === to);
    const given = inputs.map(([edge, { from, outputNames }]) => {
      const output = protocolsOf(from)?.outputProtocol;
      const properties = output && propertiesOf(output);
      const missing = outputNames.filter((name) => properties && !Object.hasOwn(properties, name));
      if (missing.length > 0) {
        const names = missing.map((name) => `'${name}'`).join(', ');
        found.push({ edge, message: `the output of '${from}' has no ${names}` });
      }
      return { edge, from, schema: handedOn(output, outputNames) };
    });
    const [first] = given;
    if (!wanted || !first) continue;
    const joined: Schema =
      given.length === 1
        ? first.schema
        : {
            type: 'object',
            properties: Object.fromEntries(given.map(({ from, schema }) => [from, schema])),
          };
    const what =
      given.length === 1
        ? `the output of '${first.from}'`
        : `what '${to}' is given, an object with the keys ${given.map(({ from }) => from).join(', ')},`;
    for (const lack of shortcomings(joined, wanted, what)) {
      found.push({ edge: first.edge, message: `${lack}: '${to}' will refuse it` });
    }
  }
  return found;
}
