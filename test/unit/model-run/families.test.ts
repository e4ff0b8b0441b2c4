import { describe, expect, it, test } from 'vitest';
import { createChatTemplate } from '../../../runtime/model/chat-template.ts';
import { loadTokenizer } from '../../../runtime/model/tokenizer.ts';

const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const numbered = (contents: readonly string[]) =>
  Object.fromEntries(contents.map((content, id) => [content, id]));

const pieces = ["'s|'t|'re|'ve|'m|'ll|'d", '[^\\r\\n\\p{L}\\p{N}]?\\p{L}+'];
const rest = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

/** Byte-level BPE in the form of Llama 3 and Qwen; they differ in how many digits stay together. */
const byteLevel = (digits: string, begin: string) => ({
  added_tokens: [
    { id: 0, content: begin, special: true },
    { id: 1, content: '<|end|>', special: true },
  ],
  normalizer: { type: 'NFC' },
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [
      {
        type: 'Split',
        pattern: { Regex: `(?i:${pieces[0]})|${pieces[1]}|${digits}|${rest}` },
        behavior: 'Isolated',
        invert: false,
      },
      { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
    ],
  },
  post_processor: {
    type: 'Sequence',
    processors: [
      { type: 'ByteLevel', add_prefix_space: true, trim_offsets: false, use_regex: true },
      {
        type: 'TemplateProcessing',
        single: [
          { SpecialToken: { id: begin, type_id: 0 } },
          { Sequence: { id: 'A', type_id: 0 } },
        ],
        pair: [],
        special_tokens: { [begin]: { id: begin, ids: [0], tokens: [begin] } },
      },
    ],
  },
  decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
  model: {
    type: 'BPE',
    ignore_merges: true,
    vocab: numbered([begin, '<|end|>', 'a', 'b', 'Ġ', '1', '2', 'S', "'", 'Ã', '©', 'Ġa', "'S"]),
    merges: ['Ġ a', "' S"],
  },
});

/** SentencePiece in the form of Gemma: no space is put before a text, and none is dropped. */
const gemma = {
  added_tokens: ['<pad>', '<eos>', '<bos>', '<unk>', '<start_of_turn>', '<end_of_turn>'].map(
    (content, id) => ({ id, content, special: true }),
  ),
  normalizer: { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
  pre_tokenizer: {
    type: 'Split',
    pattern: { String: ' ' },
    behavior: 'MergedWithPrevious',
    invert: false,
  },
  post_processor: {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '<bos>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [],
    special_tokens: { '<bos>': { id: '<bos>', ids: [2], tokens: ['<bos>'] } },
  },
  decoder: {
    type: 'Sequence',
    decoders: [
      { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
      { type: 'ByteFallback' },
      { type: 'Fuse' },
    ],
  },
  model: {
    type: 'BPE',
    unk_token: '<unk>',
    fuse_unk: true,
    byte_fallback: true,
    vocab: numbered([
      ...['<pad>', '<eos>', '<bos>', '<unk>', '<start_of_turn>', '<end_of_turn>'],
      ...['▁', 'a', 'b', '▁a', '▁▁', '<0xC3>', '<0xA9>'],
    ]),
    merges: ['▁ a', '▁ ▁'],
  },
};

describe('the tokenizers of the families that can be split', () => {
  it.each([
    ['Llama 3', '\\p{N}{1,3}', '<|begin_of_text|>'],
    ['Qwen', '\\p{N}', '<|endoftext|>'],
  ])('%s', (_, digits, begin) => {
    const tokenizer = loadTokenizer({ tokenizer: json(byteLevel(digits, begin)) });

    const tokens = tokenizer.encode("a a12'Sé<|end|>");

    expect(tokens[0]).toBe(0);
    expect(tokens.at(-1)).toBe(1);
    expect(tokens).toContain(11);
    expect(tokens).toContain(12);
    expect(tokenizer.decode(tokens)).toBe("a a12'Sé");
  });

  it('Gemma', () => {
    const tokenizer = loadTokenizer({ tokenizer: json(gemma) });

    const tokens = tokenizer.encode('<start_of_turn>a b  é<end_of_turn>');

    expect(tokens.slice(0, 3)).toEqual([2, 4, 7]);
    expect(tokens.at(-1)).toBe(5);
    expect(tokenizer.decode(tokens)).toBe('a b  é');
    expect(tokenizer.leadingSpaces).toBe(0);
  });
});

const question = [{ role: 'user', content: ' Hello ' }];
const talk = [
  { role: 'system', content: 'Be brief.' },
  ...question,
  { role: 'assistant', content: '<think>\nhm\n</think>\n\nHi' },
  { role: 'user', content: 'Bye' },
];

/** The statements of the published templates that ask most of an interpreter. */
const templates: readonly (readonly [string, string, typeof talk, string])[] = [
  [
    'Llama 3.1',
    `{{- bos_token }}{%- if custom_tools is defined %}{%- set tools = custom_tools %}{%- endif %}
{%- if not tools is defined %}{%- set tools = none %}{%- endif %}
{%- if messages[0]['role'] == 'system' %}{%- set system_message = messages[0]['content']|trim %}{%- set messages = messages[1:] %}{%- else %}{%- set system_message = "" %}{%- endif %}
{{- "[system]" }}{%- if builtin_tools is defined or tools is not none %}{{- "tools" }}{%- endif %}{{- system_message }}
{%- for message in messages %}{%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}{{- '[' + message['role'] + ']' + message['content'] | trim }}{%- endif %}{%- endfor %}
{%- if add_generation_prompt %}{{- '[assistant]' }}{%- endif %}`,
    talk,
    '<s>[system]Be brief.[user]Hello[assistant]<think>\nhm\n</think>\n\nHi[user]Bye[assistant]',
  ],
  [
    'Mistral',
    `{%- if messages[0]["role"] == "system" %}{%- set system_message = messages[0]["content"] %}{%- set loop_messages = messages[1:] %}{%- else %}{%- set loop_messages = messages %}{%- endif %}
{%- if not tools is defined %}{%- set tools = none %}{%- endif %}{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace() %}{%- set ns.index = 0 %}
{{- bos_token }}{%- for message in loop_messages %}{%- if message["role"] == "user" %}{%- if tools is not none and (message == user_messages[-1]) %}{{- "tools" }}{%- endif %}{%- if loop.last and system_message is defined %}{{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}{%- else %}{{- "[INST] " + message["content"] + "[/INST]" }}{%- endif %}{%- set ns.index = ns.index + 1 %}{%- else %}{{- " " + message["content"]|trim + eos_token }}{%- endif %}{%- endfor %}`,
    talk,
    '<s>[INST]  Hello [/INST] <think>\nhm\n</think>\n\nHi</s>[INST] Be brief.\n\nBye[/INST]',
  ],
  [
    'Qwen 3',
    `{%- if tools %}{{- 'tools' }}{%- else %}{%- if messages[0].role == 'system' %}{{- '[system]' + messages[0].content }}{%- endif %}{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}{%- set index = (messages|length - 1) - loop.index0 %}{%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}{%- set ns.multi_step_tool = false %}{%- set ns.last_query_index = index %}{%- endif %}{%- endfor %}
{%- for message in messages %}{%- if message.content is string %}{%- set content = message.content %}{%- else %}{%- set content = '' %}{%- endif %}
{%- if (message.role == "user") or (message.role == "system" and not loop.first) %}{{- '[' + message.role + ']' + content }}
{%- elif message.role == "assistant" %}{%- set reasoning_content = '' %}{%- if message.reasoning_content is string %}{%- set reasoning_content = message.reasoning_content %}{%- else %}{%- if '</think>' in content %}{%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}{%- set content = content.split('</think>')[-1].lstrip('\\n') %}{%- endif %}{%- endif %}
{%- if loop.index0 > ns.last_query_index %}{{- '[think]' + reasoning_content }}{%- endif %}{{- '[assistant]' + content }}{%- endif %}{%- endfor %}
{%- if add_generation_prompt %}{{- '[assistant]' }}{%- if enable_thinking is defined and enable_thinking is false %}{{- 'no thinking' }}{%- endif %}{%- endif %}`,
    talk,
    '[system]Be brief.[user] Hello [assistant]Hi[user]Bye[assistant]',
  ],
  [
    'Phi-3',
    "{% for message in messages %}{% if message['role'] == 'system' %}{{'<|system|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}",
    question,
    '<|user|>\n Hello <|end|>\n<|assistant|>\n',
  ],
  [
    'Gemma 3',
    `{{ bos_token }}{%- if messages[0]['role'] == 'system' -%}{%- if messages[0]['content'] is string -%}{%- set first_user_prefix = messages[0]['content'] + '\n\n' -%}{%- else -%}{%- set first_user_prefix = messages[0]['content'][0]['text'] + '\n\n' -%}{%- endif -%}{%- set loop_messages = messages[1:] -%}{%- else -%}{%- set first_user_prefix = "" -%}{%- set loop_messages = messages -%}{%- endif -%}
{%- for message in loop_messages -%}{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}{{ raise_exception("Conversation roles must alternate") }}{%- endif -%}
{%- if (message['role'] == 'assistant') -%}{%- set role = "model" -%}{%- else -%}{%- set role = message['role'] -%}{%- endif -%}
{{ '<start_of_turn>' + role + '\n' + (first_user_prefix if loop.first else "") }}{%- if message['content'] is string -%}{{ message['content'] | trim }}{%- elif message['content'] is iterable -%}{%- for item in message['content'] -%}{{ item['text'] | trim }}{%- endfor -%}{%- else -%}{{ raise_exception("Invalid content type") }}{%- endif -%}{{ '<end_of_turn>\n' }}{%- endfor -%}
{%- if add_generation_prompt -%}{{'<start_of_turn>model\n'}}{%- endif -%}`,
    talk.slice(0, 2),
    '<s><start_of_turn>user\nBe brief.\n\nHello<end_of_turn>\n<start_of_turn>model\n',
  ],
];

describe('the chat templates of the families that can be split', () => {
  for (const [name, template, messages, prompt] of templates) {
    test(name, () => {
      const chat = createChatTemplate({ template, beginToken: '<s>', endToken: '</s>' });

      expect(chat.render(messages)).toBe(prompt);
    });
  }
});
