import { AiosError, type Problem, shorten } from '../../../sdk/errors.ts';
import type { Misfit } from '../../../sdk/fit.ts';
import { nearest } from '../../../sdk/nearest.ts';
import { createComparison, isOperator, type Operator, operators } from './comparison.ts';
import { type FilterSubject, findVariable, type Variable, variableNames } from './variables.ts';

/** A compiled condition. */
export interface Condition {
  /** As the document wrote it, on one line. */
  readonly text: string;
  /** Nothing when it holds. */
  readonly test: (subject: FilterSubject) => Misfit | undefined;
}

const limits = { depth: 16, conditions: 500 } as const;

const aggregates: Readonly<Record<string, (values: readonly number[]) => number | undefined>> = {
  sum: (values) => values.reduce((a, b) => a + b, 0),
  avg: (values) =>
    values.length > 0 ? values.reduce((a, b) => a + b, 0) / values.length : undefined,
  min: (values) => (values.length > 0 ? values.reduce((a, b) => Math.min(a, b)) : undefined),
  max: (values) => (values.length > 0 ? values.reduce((a, b) => Math.max(a, b)) : undefined),
};
const aggregateNames = ['count', ...Object.keys(aggregates)];

type Fields = Readonly<Record<string, unknown>>;

function showValue(value: unknown): string {
  const plain = (each: unknown): string => (typeof each === 'string' ? each : shorten(each));
  const text = Array.isArray(value) ? `[${value.map(plain).join(', ')}]` : plain(value);
  return text.length <= 80 ? text : `${text.slice(0, 77)}…`;
}

function showSeen(seen: unknown): string {
  if (seen === undefined) return 'not known';
  if (typeof seen === 'number') return String(Math.round(seen * 100) / 100);
  if (!Array.isArray(seen)) return showValue(seen);
  return seen.length === 0 ? 'none' : showValue(seen.slice(0, 20).map(showSeen));
}

/** Reads one tree of conditions and collects every problem in it. */
export class ConditionReader {
  readonly problems: Problem[] = [];
  #conditions = 0;

  read(value: unknown, path: string, depth = 0): Condition | undefined {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return this.#refuse(path, {
        message: 'is no condition',
        expected: 'an object with variable, logicalOperator or aggOperator',
        seen: shorten(value),
      });
    }
    this.#conditions += 1;
    if (depth > limits.depth || this.#conditions > limits.conditions) {
      // One report is enough: what lies below or behind is not looked at.
      if (this.#conditions === limits.conditions + 1 || depth === limits.depth + 1) {
        this.#refuse(path, {
          message: 'is too deep or one too many',
          expected: `at most ${limits.depth} levels and ${limits.conditions} conditions`,
        });
      }
      return undefined;
    }
    const fields = value as Fields;
    if ('logicalOperator' in fields || 'conditions' in fields) {
      return this.#group(fields, path, depth);
    }
    return 'aggOperator' in fields ? this.#aggregate(fields, path) : this.#plain(fields, path);
  }

  #refuse(path: string, problem: Omit<Problem, 'path'>): undefined {
    this.problems.push({ path, ...problem });
  }

  #keys(fields: Fields, path: string, known: readonly string[]): void {
    for (const key of Object.keys(fields)) {
      if (known.includes(key)) continue;
      const close = nearest(key, known);
      this.#refuse(`${path}.${key}`, {
        message: `'${key}' is not a key here`,
        expected: `one of: ${known.join(', ')}`,
        ...(close === undefined ? {} : { nearest: close }),
      });
    }
  }

  #group(fields: Fields, path: string, depth: number): Condition | undefined {
    this.#keys(fields, path, ['logicalOperator', 'conditions']);
    const operator = String(fields.logicalOperator ?? '').toUpperCase();
    if (operator !== 'AND' && operator !== 'OR') {
      this.#refuse(`${path}.logicalOperator`, {
        message: 'joins conditions by an unknown word',
        expected: 'AND or OR',
        seen: shorten(fields.logicalOperator ?? null),
      });
    }
    const list = fields.conditions;
    if (!Array.isArray(list) || list.length === 0) {
      return this.#refuse(`${path}.conditions`, {
        message: 'must be a list of conditions',
        expected: 'at least one',
        seen: shorten(list ?? null),
      });
    }
    const parts: Condition[] = [];
    for (const [at, each] of list.entries()) {
      if (this.#conditions > limits.conditions) break;
      const part = this.read(each, `${path}.conditions[${at}]`, depth + 1);
      if (part) parts.push(part);
    }
    if (operator === 'AND') return all(parts);
    return any(parts);
  }

  /** @returns the operator and the variable, or nothing after reporting what is wrong with either */
  #parts(
    fields: Fields,
    path: string,
    key: 'variable' | 'target',
  ):
    | { readonly name: string; readonly variable: Variable; readonly operator: Operator }
    | undefined {
    const { operator } = fields;
    const name = fields[key];
    const variable = typeof name === 'string' ? findVariable(name) : undefined;
    if (!variable) {
      const close = typeof name === 'string' ? nearest(name, variableNames) : undefined;
      this.#refuse(`${path}.${key}`, {
        message: name === undefined ? 'is missing' : 'names no variable of clusters',
        expected: 'a name such as cluster.memory.freeMem, gpus.count or clusterMetadata.vendor',
        ...(name === undefined ? {} : { seen: shorten(name) }),
        ...(close === undefined ? {} : { nearest: close }),
      });
    }
    if (!isOperator(operator)) {
      this.#refuse(`${path}.operator`, {
        message: operator === undefined ? 'is missing' : 'is no operator',
        expected: `one of: ${operators.join(', ')}`,
        ...(operator === undefined ? {} : { seen: shorten(operator) }),
      });
    }
    if (!('value' in fields)) this.#refuse(`${path}.value`, { message: 'is missing' });
    return variable && isOperator(operator) && 'value' in fields
      ? { name: String(name), variable, operator }
      : undefined;
  }

  #comparison(...parameters: Parameters<typeof createComparison>) {
    try {
      return createComparison(...parameters);
    } catch (fault) {
      const error = AiosError.from(fault);
      if (error.code !== 'FILTER_INVALID') throw error;
      this.problems.push(...error.problems);
      return undefined;
    }
  }

  #plain(fields: Fields, path: string): Condition | undefined {
    this.#keys(fields, path, ['variable', 'operator', 'value']);
    const parts = this.#parts(fields, path, 'variable');
    if (!parts) return undefined;
    const { name, variable, operator } = parts;
    const holds = this.#comparison(variable.type, operator, fields.value, path);
    if (!holds) return undefined;
    const text = `${name} ${operator} ${showValue(fields.value)}`;
    return {
      text,
      test(subject) {
        const seen = variable.read(subject);
        return holds(seen) ? undefined : { refusedBy: text, seen: showSeen(seen) };
      },
    };
  }

  #aggregate(fields: Fields, path: string): Condition | undefined {
    this.#keys(fields, path, ['aggOperator', 'target', 'operator', 'value']);
    const name = String(fields.aggOperator);
    const isKnown = aggregateNames.includes(name);
    if (!isKnown) {
      this.#refuse(`${path}.aggOperator`, {
        message: 'is no aggregate',
        expected: `one of: ${aggregateNames.join(', ')}`,
        seen: shorten(fields.aggOperator),
      });
    }
    const parts = this.#parts(fields, path, 'target');
    if (!parts || !isKnown) return undefined;
    const { variable, operator } = parts;
    const numeric = variable.type === 'number' || variable.type === 'bytes';
    if (!variable.list || (name !== 'count' && !numeric)) {
      return this.#refuse(`${path}.target`, {
        message: `${name} needs a list${name === 'count' ? '' : ' of numbers'}`,
        expected: 'such as nodes, nodes.vcpu.load15m or nodes.gpus.freeMem',
        seen: shorten(parts.name),
      });
    }
    const holds = this.#comparison('number', operator, fields.value, path);
    const aggregate = aggregates[name];
    if (!holds) return undefined;
    const text = `${name}(${parts.name}) ${operator} ${showValue(fields.value)}`;
    return {
      text,
      test(subject) {
        const values = variable.read(subject) as readonly number[];
        const seen = aggregate ? aggregate(values) : values.length;
        return holds(seen) ? undefined : { refusedBy: text, seen: showSeen(seen) };
      },
    };
  }
}

/** Refuses with the first condition that does not hold. */
export function all(parts: readonly Condition[]): Condition {
  return {
    text: parts.map(({ text }) => text).join(' AND '),
    test(subject) {
      for (const part of parts) {
        const refused = part.test(subject);
        if (refused) return refused;
      }
      return undefined;
    },
  };
}

/** Refuses with all of them: any would have done. */
function any(parts: readonly Condition[]): Condition {
  const text = `(${parts.map((part) => part.text).join(' OR ')})`;
  return {
    text,
    test(subject) {
      const seen: string[] = [];
      for (const part of parts) {
        const refused = part.test(subject);
        if (!refused) return undefined;
        seen.push(refused.seen);
      }
      return { refusedBy: text, seen: seen.join('; ') };
    },
  };
}
