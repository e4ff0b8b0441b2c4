import { readFile, stat } from 'node:fs/promises';
import { AiosError } from '../../sdk/errors.ts';
import type { GenerationSpec } from '../../sdk/spec/vdag.ts';
import type { ArtifactStore } from '../control-plane.ts';
import {
  createChatTemplate,
  createDetokenizer,
  type Detokenizer,
  loadTokenizer,
  tokenizerLimits,
} from '../model/index.ts';
import type { ChatMessage, GenerateRequest, TokenChoice } from './generation.ts';
import { checkPromptLength, checkPromptTokens, type PromptLimit } from './prompt-limit.ts';

/** The words of one model: everything of it that the driver holds. */
export interface ModelText {
  /**
   * @throws {AiosError} REQUEST_INVALID - no chat template, or it refuses the messages; CONTEXT_LENGTH_EXCEEDED - found
   * without tokenizing all of a prompt far over the limit; REQUEST_TOO_LARGE
   */
  encode(
    prompt: GenerateRequest['prompt'],
    limit: PromptLimit,
    signal: AbortSignal,
  ): Promise<readonly number[]>;
  /** Turns the tokens of one answer into text. */
  createTextStream(): Detokenizer;
  choice(token: number, logprob: number): TokenChoice;
}

/** Loaded model texts, the last few used; a tokenizer is megabytes once parsed. */
export interface ModelTexts {
  /** @throws {AiosError} NOT_FOUND, ARTIFACT_CORRUPT, CHECKPOINT_INVALID */
  load(generation: GenerationSpec): Promise<ModelText>;
}

const keptModels = 4;

export function createModelTexts(artifacts: Pick<ArtifactStore, 'path'>): ModelTexts {
  // In order of last use; the promise is kept, so that eight first chats parse the tokenizer once.
  const loaded = new Map<string, Promise<ModelText>>();
  return {
    load(generation) {
      const key = generation.files.map(({ name, hash }) => `${name}=${hash}`).join();
      const text = loaded.get(key) ?? loadModelText(artifacts, generation);
      loaded.delete(key);
      loaded.set(key, text);
      text.catch(() => {
        if (loaded.get(key) === text) loaded.delete(key);
      });
      for (const [oldest] of loaded) {
        if (loaded.size <= keptModels) break;
        loaded.delete(oldest);
      }
      return text;
    },
  };
}

async function loadModelText(
  artifacts: Pick<ArtifactStore, 'path'>,
  generation: GenerationSpec,
): Promise<ModelText> {
  const read = async (name: string): Promise<Uint8Array | undefined> => {
    const file = generation.files.find((candidate) => candidate.name === name);
    if (!file) return undefined;
    const path = await artifacts.path(file.hash);
    const { size } = await stat(path);
    if (size > tokenizerLimits.tokenizerBytes) {
      throw new AiosError(
        'REQUEST_TOO_LARGE',
        `${name} has ${size} bytes; at most ${tokenizerLimits.tokenizerBytes} are read.`,
      );
    }
    return readFile(path);
  };
  const [tokenizerBytes, config, templateBytes] = await Promise.all([
    read('tokenizer.json'),
    read('tokenizer_config.json'),
    read('chat_template.jinja'),
  ]);
  if (!tokenizerBytes) {
    throw new AiosError(
      'CHECKPOINT_INVALID',
      "the vDAG's generation.files names no 'tokenizer.json'. Split the model again with its tokenizer beside it.",
    );
  }
  const tokenizer = loadTokenizer({
    tokenizer: tokenizerBytes,
    ...(config ? { config } : {}),
  });
  const template = templateBytes ? new TextDecoder().decode(templateBytes) : tokenizer.chatTemplate;
  const chat =
    template === undefined
      ? undefined
      : createChatTemplate({
          template,
          ...(tokenizer.beginToken === undefined ? {} : { beginToken: tokenizer.beginToken }),
          ...(tokenizer.endToken === undefined ? {} : { endToken: tokenizer.endToken }),
        });

  const render = (messages: readonly ChatMessage[]): string => {
    if (chat) return chat.render(messages);
    throw new AiosError(
      'REQUEST_INVALID',
      'the model has no chat template. Ask it at /v1/completions with a plain prompt.',
    );
  };

  return {
    async encode(prompt, limit, signal) {
      if (prompt.type === 'tokens') return prompt.tokens;
      const isChat = prompt.type === 'messages';
      const contents = isChat ? prompt.messages.map(({ content }) => content) : [prompt.text];
      // Before the template runs: it may cost more than what it is given.
      checkPromptLength(
        limit,
        contents.reduce((sum, { length }) => sum + length, 0),
      );
      const text = isChat ? render(prompt.messages) : prompt.text;
      const count = (slice: string) => tokenizer.encode(slice, { addSpecialTokens: false }).length;
      await checkPromptTokens(limit, text, count, signal);
      return tokenizer.encode(text, { addSpecialTokens: !isChat });
    },
    createTextStream: () => createDetokenizer(tokenizer, { continues: true }),
    choice(token, logprob) {
      const bytes = tokenizer.tokenBytes(token);
      return { token, text: Buffer.from(bytes).toString('utf8'), bytes: [...bytes], logprob };
    },
  };
}
