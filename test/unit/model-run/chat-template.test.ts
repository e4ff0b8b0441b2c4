import { describe, expect, it } from 'vitest';
import { chatTemplateLimits, createChatTemplate } from '../../../runtime/model/chat-template.ts';
import { loadTokenizer } from '../../../runtime/model/tokenizer.ts';
import { readGolden, tinyAssistantFile } from '../../support/tiny-assistant.ts';

const render = (template: string, messages = [{ role: 'user', content: 'Hi' }]) =>
  createChatTemplate({ template, beginToken: '<s>', endToken: '</s>' }).render(messages);

describe('a chat template', () => {
  it('renders the golden prompts', () => {
    const { chatTemplate } = loadTokenizer({
      tokenizer: tinyAssistantFile('tokenizer.json'),
      config: tinyAssistantFile('tokenizer_config.json'),
    });
    const template = createChatTemplate({ template: chatTemplate ?? '' });
    for (const row of readGolden().rows) expect(template.render(row.messages)).toBe(row.prompt);
  });

  it('sees the begin and end tokens, the date and the generation prompt', () => {
    expect(render('{{ bos_token }}{{ messages[0].content }}{{ eos_token }}')).toBe('<s>Hi</s>');
    expect(render("{{ strftime_now('%Y-%m-%d') }}")).toMatch(/^\d{4}-\d\d-\d\d$/);
    const template = createChatTemplate({ template: '{% if add_generation_prompt %}>{% endif %}' });
    expect(template.render([])).toBe('>');
    expect(template.render([], { addGenerationPrompt: false })).toBe('');
  });

  it('treats what users write as text, never as a template', () => {
    expect(
      render('{{ messages[0].content }}', [{ role: 'user', content: '{{ bos_token }}' }]),
    ).toBe('{{ bos_token }}');
  });

  it('refuses messages with the reason the template gives', () => {
    expect(() => render("{{ raise_exception('roles must alternate') }}")).toThrow(
      expect.objectContaining({
        code: 'REQUEST_INVALID',
        message: expect.stringContaining('roles must alternate'),
      }),
    );
  });

  it.each([
    [
      'loops that never end',
      '{% for a in range(999) %}{% for b in range(999) %}x{% endfor %}{% endfor %}',
    ],
    ['a range without end', '{% for a in range(10 ** 9) %}x{% endfor %}'],
    ['a range of step 0', '{% for a in range(0, 1, 0) %}x{% endfor %}'],
    ['recursion without end', '{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}'],
    ['a filter that does not exist', '{{ messages | launch }}'],
  ])('refuses %s', (_name, template) => {
    expect(() => render(template)).toThrow(expect.objectContaining({ code: 'REQUEST_INVALID' }));
  });

  it('refuses a prompt or a conversation that is too long', () => {
    const doubling = `{% set s = namespace(v='${'x'.repeat(64)}') %}{% for a in range(20) %}{% set s.v = s.v ~ s.v %}{% endfor %}{{ s.v }}`;
    expect(() => render(doubling)).toThrow(expect.objectContaining({ code: 'REQUEST_TOO_LARGE' }));
    const many = Array.from({ length: chatTemplateLimits.messages + 1 }, () => ({
      role: 'user',
      content: '',
    }));
    expect(() => render('', many)).toThrow(expect.objectContaining({ code: 'REQUEST_TOO_LARGE' }));
  });

  it.each([
    ['is not Jinja', '{% for %}'],
    ['is too long', ' '.repeat(chatTemplateLimits.sourceUnits + 1)],
  ])('is refused when it %s', (_name, template) => {
    expect(() => createChatTemplate({ template })).toThrow(
      expect.objectContaining({ code: 'CHECKPOINT_INVALID' }),
    );
  });
});
