import { randomSource } from './random.ts';

/**
 * Runs inside QuickJS, before the policy's bundle, and gives a function that makes the evaluator of a loaded module.
 * Everything crosses the wall as JSON text; what the harness needs is taken before a policy can replace it.
 */
export const guestSource = `(() => {
  'use strict';
  const { parse, stringify } = JSON;
  const text = String;
  const HostDate = Date;
  const slice = Function.prototype.call.bind(String.prototype.slice);
  const createRandom = ${randomSource};
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
      const output = policy.evaluate(request.input, context);
      if (output instanceof Promise) {
        return fault('output-invalid', { message: 'returned a promise; evaluate() must be synchronous' });
      }
      return stringify({ type: 'answer', output, state: context.state, logs });
    } catch (thrown) {
      return fault('threw', describe(thrown));
    }
  };
})()`;
