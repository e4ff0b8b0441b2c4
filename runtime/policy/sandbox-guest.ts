import { randomSource } from './random.ts';

/**
 * Runs inside QuickJS, before the policy's bundle, and gives a function that makes the evaluator of a loaded module.
 * Everything crosses the wall as JSON text; what the harness needs is taken before a policy can replace it.
 */
export const guestSource = `(() => {
  'use strict';
  const { parse, stringify } = JSON;
  const text = String;
  const define = Object.defineProperty;
  const HostDate = Date;
  const slice = Function.prototype.call.bind(String.prototype.slice);
  const { freeze, keys } = Object;
  const { isArray } = Array;
  const createRandom = ${randomSource};

  // What stays from question to question. Nothing here inherits: a policy may have changed what objects inherit.
  let nodes = { __proto__: null };
  let lists = { __proto__: null };
  const deepFreeze = (value) => {
    if (typeof value !== 'object' || value === null) return value;
    const names = keys(value);
    for (let at = 0; at < names.length; at += 1) deepFreeze(value[names[at]]);
    return freeze(value);
  };
  const put = (list, at, value) =>
    define(list, at, { __proto__: null, value, writable: true, enumerable: true, configurable: true });
  const buildList = ({ base, changes, nodes: numbers }) => {
    const list = [];
    if (numbers !== undefined) {
      for (let at = 0; at < numbers.length; at += 1) put(list, at, nodes[numbers[at]]);
    } else {
      const from = lists[base];
      for (let at = 0; at < from.length; at += 1) put(list, at, from[at]);
      for (let at = 0; at < changes.length; at += 1) put(list, changes[at][0], nodes[changes[at][1]]);
    }
    return freeze(list);
  };
  const keepResident = ({ reset, nodes: added, lists: built, dropped }) => {
    if (reset) { nodes = { __proto__: null }; lists = { __proto__: null }; }
    for (let at = 0; at < added.length; at += 1) nodes[added[at][0]] = deepFreeze(parse(added[at][1]));
    for (let at = 0; at < built.length; at += 1) lists[built[at].number] = buildList(built[at]);
    for (let at = 0; at < dropped.length; at += 1) delete lists[dropped[at]];
  };
  const fill = (value, depth) => {
    if (typeof value !== 'object' || value === null || depth > 4) return value;
    if (isArray(value)) {
      for (let at = 0; at < value.length && value.length <= 64; at += 1) fill(value[at], depth + 1);
      return value;
    }
    const names = keys(value);
    for (let at = 0; at < names.length; at += 1) {
      const field = value[names[at]];
      const list = names[at] === 'nodes' && typeof field === 'object' && field !== null ? field.$list : undefined;
      if (list !== undefined) put(value, names[at], lists[list]);
      else fill(field, depth + 1);
    }
    return value;
  };
  let now = 0;
  let random = () => 0;
  Math.random = () => random();
  globalThis.Date = class Date extends HostDate {
    constructor(...parts) { if (parts.length === 0) super(now); else super(...parts); }
    static now() { return now; }
  };

  const describe = (thrown) => {
    try {
      const isError = thrown instanceof Error;
      const name = isError ? text(thrown.name) : '';
      const message = slice(text(isError ? thrown.message : thrown), 0, 1000);
      return { name, message, stack: isError ? slice(text(thrown.stack), 0, 4000) : '' };
    } catch {
      return { name: '', message: 'something that cannot be shown', stack: '' };
    }
  };

  return (policy) => (requestText) => {
    const request = parse(requestText);
    const logs = [];
    let lines = 0;
    const fault = (type, more) => stringify({ type, logs, ...more });
    try {
      keepResident(request.update);
      const input = fill(request.input, 0);
      now = request.now;
      random = createRandom(request.seed);
      const configured = {};
      for (const map of ['parameters', 'settings']) {
        const checked = policy[map].safeParse(request[map]);
        if (!checked.success) {
          return fault('configuration-invalid', { map, issues: checked.error.issues, message: '' });
        }
        configured[map] = checked.data;
      }
      const context = {
        parameters: configured.parameters,
        settings: configured.settings,
        state: request.state,
        now,
        random,
        log: (message) => {
          if (lines >= request.logLines) return;
          logs[lines] = slice(text(message), 0, request.logLineCharacters);
          lines += 1;
        },
      };
      const { command } = request;
      if (command !== undefined && typeof policy.management !== 'function') {
        return fault('no-management', { message: '' });
      }
      const output = command === undefined
        ? policy.evaluate(input, context)
        : policy.management(command.action, command.data, context);
      if (output instanceof Promise) {
        return fault('output-invalid', { message: 'returned a promise; a policy must be synchronous' });
      }
      return stringify({ type: 'answer', output, state: context.state, logs });
    } catch (thrown) {
      return fault('threw', describe(thrown));
    }
  };
})()`;
