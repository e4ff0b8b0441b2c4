import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';
import { AiosError } from '../../sdk/errors.ts';

export interface ChatTemplateMessage {
  readonly role: string;
  readonly content: string;
}

export interface ChatTemplate {
  /**
   * @returns the prompt, ready to be encoded without adding special tokens
   * @throws {AiosError} REQUEST_INVALID - the template refuses the messages; REQUEST_TOO_LARGE
   */
  render(
    messages: readonly ChatTemplateMessage[],
    options?: { readonly addGenerationPrompt?: boolean },
  ): string;
}

export interface ChatTemplateSource {
  /** Jinja. */
  readonly template: string;
  readonly beginToken?: string;
  readonly endToken?: string;
}

export const chatTemplateLimits = {
  sourceUnits: 256 * 2 ** 10,
  messages: 4_096,
  outputUnits: 8 * 2 ** 20,
  /** Nodes of the template evaluated for one prompt: a template comes from a stranger and must not hold the process. */
  steps: 100_000,
  rangeLength: 1_000,
} as const;

/**
 * Compiles the Jinja template of a chat model.
 *
 * @throws {AiosError} CHECKPOINT_INVALID - the template is not Jinja, or too long
 */
export function createChatTemplate(source: ChatTemplateSource): ChatTemplate {
  const program = compile(source.template);
  return {
    render(messages, { addGenerationPrompt = true } = {}) {
      if (messages.length > chatTemplateLimits.messages) {
        throw tooLarge(`${messages.length} messages`, `${chatTemplateLimits.messages} messages`);
      }
      const environment: Scope = new Environment();
      for (const [name, value] of Object.entries(globals)) environment.set(name, value);
      environment.set('messages', messages);
      environment.set('add_generation_prompt', addGenerationPrompt);
      environment.set('bos_token', source.beginToken ?? '');
      environment.set('eos_token', source.endToken ?? '');
      const prompt = evaluate(program, environment);
      if (prompt.length > chatTemplateLimits.outputUnits) {
        throw tooLarge(
          `${prompt.length} characters`,
          `${chatTemplateLimits.outputUnits} characters`,
        );
      }
      return prompt;
    },
  };
}

/** The package's own types do not resolve under Node's module rules: this is what is used of them. */
type Program = object;
interface Scope {
  set(name: string, value: unknown): unknown;
}
interface TemplateInterpreter {
  evaluate(statement: unknown, scope: Scope): unknown;
  run(program: Program): { readonly value: unknown };
}
const BaseInterpreter: new (global: Scope) => TemplateInterpreter = Interpreter;

function compile(template: string): Program {
  if (template.length > chatTemplateLimits.sourceUnits) {
    throw new AiosError(
      'CHECKPOINT_INVALID',
      `the chat template has ${template.length} characters; at most ${chatTemplateLimits.sourceUnits} are read.`,
    );
  }
  try {
    // As Hugging Face compiles them.
    return parse(tokenize(template, { lstrip_blocks: true, trim_blocks: true }));
  } catch (cause) {
    throw new AiosError(
      'CHECKPOINT_INVALID',
      `the chat template is not valid Jinja: ${messageOf(cause)}. Correct chat_template in tokenizer_config.json.`,
      { cause },
    );
  }
}

class BoundedInterpreter extends BaseInterpreter {
  #steps = 0;

  override evaluate(statement: unknown, scope: Scope): unknown {
    if (++this.#steps > chatTemplateLimits.steps) {
      throw new Error(`it takes more than ${chatTemplateLimits.steps} steps`);
    }
    return super.evaluate(statement, scope);
  }
}

function evaluate(program: Program, environment: Scope): string {
  try {
    return String(new BoundedInterpreter(environment).run(program).value);
  } catch (cause) {
    throw new AiosError(
      'REQUEST_INVALID',
      `the model's chat template refuses these messages: ${messageOf(cause)}.`,
      { cause },
    );
  }
}

/** What Hugging Face gives to every template. */
const globals = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  raise_exception(message: unknown) {
    throw new Error(String(message));
  },
  range(first: number, second?: number, step = 1) {
    const [start, end] = second === undefined ? [0, first] : [first, second];
    const length = Math.max(0, Math.ceil((end - start) / step));
    if (!(length <= chatTemplateLimits.rangeLength)) {
      throw new Error(`range() of more than ${chatTemplateLimits.rangeLength} numbers`);
    }
    return Array.from({ length }, (_, index) => start + index * step);
  },
  strftime_now: (format: string) => formatTime(new Date(), format),
};

function formatTime(date: Date, format: string): string {
  const name = (options: Intl.DateTimeFormatOptions) =>
    new Intl.DateTimeFormat('en-US', options).format(date);
  const two = (value: number) => String(value).padStart(2, '0');
  const parts: Record<string, string> = {
    a: name({ weekday: 'short' }),
    A: name({ weekday: 'long' }),
    b: name({ month: 'short' }),
    B: name({ month: 'long' }),
    d: two(date.getDate()),
    H: two(date.getHours()),
    M: two(date.getMinutes()),
    m: two(date.getMonth() + 1),
    S: two(date.getSeconds()),
    y: two(date.getFullYear() % 100),
    Y: String(date.getFullYear()),
    '%': '%',
  };
  return format.replace(/%(.)/g, (whole, letter: string) => parts[letter] ?? whole);
}

const tooLarge = (seen: string, limit: string) =>
  new AiosError('REQUEST_TOO_LARGE', `a prompt of ${seen} is too long; at most ${limit}.`);

const messageOf = (cause: unknown) =>
  (cause instanceof Error ? cause.message : String(cause)).replace(/\.$/, '');
