import { AiosError, type Problem } from '../../../sdk/errors.ts';
import { nearest } from '../../../sdk/nearest.ts';
import { createComparison, isOperator, type Operator, operators } from './comparison.ts';
import { all, any } from './condition.ts';
import { aggregate, aggregateNames, createLeaf } from './leaf.ts';
import { showJson, showValue } from './show.ts';
import type { Condition, Variable, Vocabulary } from './subject.ts';

const limits = { depth: 16, conditions: 500 } as const;

export type Fields = Readonly<Record<string, unknown>>;

export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What several queries of one filter share: its problems, and how much more of it is read. */
export class Reading {
  readonly problems: Problem[] = [];
  conditions = 0;

  refuse(path: string, problem: Omit<Problem, 'path'>): undefined {
    this.problems.push({ path, ...problem });
  }

  /** Reports every key that is not known, with the nearest that is. */
  keys(fields: Fields, path: string, known: readonly string[]): void {
    for (const key of Object.keys(fields)) {
      if (known.includes(key)) continue;
      const close = nearest(key, known);
      this.refuse(`${path}.${key}`, {
        message: `'${key}' is not a key here`,
        expected: `one of: ${known.join(', ')}`,
        ...(close === undefined ? {} : { nearest: close }),
      });
    }
  }
}

interface Parts<S> {
  readonly name: string;
  readonly variable: Variable<S>;
  readonly operator: Operator;
}

/** Reads trees of conditions on one kind of subject and collects every problem in them. */
export class ConditionReader<S> {
  readonly #words: Vocabulary<S>;
  readonly #reading: Reading;

  constructor(words: Vocabulary<S>, reading: Reading) {
    this.#words = words;
    this.#reading = reading;
  }

  read(value: unknown, path: string, depth = 0): Condition<S> | undefined {
    const reading = this.#reading;
    if (!isFields(value)) {
      return reading.refuse(path, {
        message: 'is no condition',
        expected: 'an object with variable, logicalOperator or aggOperator',
        seen: showJson(value),
      });
    }
    reading.conditions += 1;
    if (depth > limits.depth || reading.conditions > limits.conditions) {
      // One report is enough: what lies below or behind is not looked at.
      if (reading.conditions === limits.conditions + 1 || depth === limits.depth + 1) {
        reading.refuse(path, {
          message: 'is too deep or one too many',
          expected: `at most ${limits.depth} levels and ${limits.conditions} conditions`,
        });
      }
      return undefined;
    }
    if (Object.hasOwn(value, 'logicalOperator') || Object.hasOwn(value, 'conditions')) {
      return this.#group(value, path, depth);
    }
    return Object.hasOwn(value, 'aggOperator')
      ? this.#aggregate(value, path)
      : this.#plain(value, path);
  }

  #group(fields: Fields, path: string, depth: number): Condition<S> | undefined {
    const reading = this.#reading;
    const { logicalOperator, conditions: list } = fields;
    reading.keys(fields, path, ['logicalOperator', 'conditions']);
    const operator = typeof logicalOperator === 'string' ? logicalOperator.toUpperCase() : '';
    if (operator !== 'AND' && operator !== 'OR') {
      reading.refuse(`${path}.logicalOperator`, {
        message: 'joins conditions by an unknown word',
        expected: 'AND or OR',
        seen: showJson(logicalOperator ?? null),
      });
    }
    if (!Array.isArray(list) || list.length === 0) {
      return reading.refuse(`${path}.conditions`, {
        message: 'must be a list of conditions',
        expected: 'at least one',
        seen: showJson(list ?? null),
      });
    }
    const parts: Condition<S>[] = [];
    for (const [at, each] of list.entries()) {
      if (reading.conditions > limits.conditions) break;
      const part = this.read(each, `${path}.conditions[${at}]`, depth + 1);
      if (part) parts.push(part);
    }
    return operator === 'AND' ? all(parts) : any(parts);
  }

  #variable(name: unknown, path: string): Variable<S> | undefined {
    const words = this.#words;
    const variable = typeof name === 'string' ? words.find(name) : undefined;
    if (variable) return variable;
    const close = typeof name === 'string' ? nearest(name, words.names) : undefined;
    return this.#reading.refuse(path, {
      message: name === undefined ? 'is missing' : `names no variable of ${words.what}`,
      expected: `a name such as ${words.examples}`,
      ...(name === undefined ? {} : { seen: showJson(name) }),
      ...(close === undefined ? {} : { nearest: close }),
    });
  }

  /** @returns the operator and the variable, or nothing after reporting what is wrong with either */
  #parts(fields: Fields, path: string, key: 'variable' | 'target'): Parts<S> | undefined {
    const reading = this.#reading;
    const { operator } = fields;
    const variable = this.#variable(fields[key], `${path}.${key}`);
    if (!isOperator(operator)) {
      reading.refuse(`${path}.operator`, {
        message: operator === undefined ? 'is missing' : 'is no operator',
        expected: `one of: ${operators.join(', ')}`,
        ...(operator === undefined ? {} : { seen: showJson(operator) }),
      });
    }
    const hasValue = Object.hasOwn(fields, 'value');
    if (!hasValue) reading.refuse(`${path}.value`, { message: 'is missing' });
    return variable && isOperator(operator) && hasValue
      ? { name: String(fields[key]), variable, operator }
      : undefined;
  }

  #leaf(text: string, variable: Variable<S>, operator: Operator, value: unknown, path: string) {
    try {
      return createLeaf(text, variable, createComparison(variable.type, operator, value, path));
    } catch (fault) {
      const error = AiosError.from(fault);
      if (error.code !== 'FILTER_INVALID') throw error;
      this.#reading.problems.push(...error.problems);
      return undefined;
    }
  }

  #plain(fields: Fields, path: string): Condition<S> | undefined {
    this.#reading.keys(fields, path, ['variable', 'operator', 'value']);
    const parts = this.#parts(fields, path, 'variable');
    if (!parts) return undefined;
    const text = `${parts.name} ${parts.operator} ${showValue(fields.value)}`;
    return this.#leaf(text, parts.variable, parts.operator, fields.value, path);
  }

  #aggregate(fields: Fields, path: string): Condition<S> | undefined {
    const reading = this.#reading;
    reading.keys(fields, path, ['aggOperator', 'target', 'operator', 'value']);
    const name = aggregateNames.find((each) => each === fields.aggOperator);
    if (name === undefined) {
      reading.refuse(`${path}.aggOperator`, {
        message: 'is no aggregate',
        expected: `one of: ${aggregateNames.join(', ')}`,
        seen: showJson(fields.aggOperator),
      });
    }
    const parts = this.#parts(fields, path, 'target');
    if (!parts || name === undefined) return undefined;
    const number = aggregate(name, parts.variable);
    if (!number) {
      return reading.refuse(`${path}.target`, {
        message: `${name} needs a list${name === 'count' ? '' : ' of numbers'}`,
        expected: `such as ${this.#words.listExamples}`,
        seen: showJson(parts.name),
      });
    }
    const text = `${name}(${parts.name}) ${parts.operator} ${showValue(fields.value)}`;
    return this.#leaf(text, number, parts.operator, fields.value, path);
  }
}
