import { Hono } from 'hono';
import { AiosError, type Problem } from '../../../sdk/errors.ts';
import type { GenerationSpec } from '../../../sdk/spec/vdag.ts';
import { type GenerateRequest, parseRequest } from '../../vdag/index.ts';
import { readJsonBody } from '../body.ts';
import { clientOf } from '../client-name.ts';
import {
  deadlineOf,
  type GatewayContext,
  type GatewayEnv,
  type GatewayServices,
} from '../context.ts';
import { type AnswerShape, chatShape, completionShape } from './answer-shape.ts';
import { missingModel } from './missing-model.ts';
import { respond } from './respond.ts';
import {
  type ChatBody,
  type CompletionBody,
  chatBody,
  completionBody,
  samplingOf,
  unsupportedFields,
} from './schema.ts';

/** OpenAI's API over every vDAG that is a language model. */
export function openAiRoutes(services: GatewayServices): Hono<GatewayEnv> {
  const routes = new Hono<GatewayEnv>();

  routes.get('/models', async (c) => {
    const models = await services.controlPlane.models(c.var.facts.tenant);
    return c.json({ object: 'list', data: models.map(toModel) });
  });

  routes.get('/models/:id', async (c) => {
    const id = c.req.param('id');
    const { tenant } = c.var.facts;
    const { uri } = await services.controlPlane.resolveVdag(tenant, id);
    const models = await services.controlPlane.models(tenant);
    const model = models.find(({ vdag }) => vdag.uri === uri);
    if (!model) throw new AiosError('NOT_FOUND', `vDAG '${id}' is not a language model.`);
    return c.json(toModel(model));
  });

  routes.post('/chat/completions', async (c) => {
    const document = await readJsonBody(c.req.raw);
    const body = parseRequest('the body', chatBody, document, {
      check: (chat) => [...unsupportedFields(document), ...logprobProblems(chat)],
    });
    return answer(services, c, body, chatShape, {
      prompt: { type: 'messages', messages: body.messages },
      sampling: samplingOf(body, body.logprobs ? (body.top_logprobs ?? 0) : undefined),
      maxTokens: body.max_completion_tokens ?? body.max_tokens,
    });
  });

  routes.post('/completions', async (c) => {
    const document = await readJsonBody(c.req.raw);
    const body = parseRequest('the body', completionBody, document, {
      check: () => unsupportedFields(document),
      opaque: ['prompt'],
    });
    return answer(services, c, body, completionShape, {
      prompt: body.prompt,
      sampling: samplingOf(body, body.logprobs),
      maxTokens: body.max_tokens,
    });
  });
  return routes;
}

function logprobProblems(body: ChatBody | undefined): readonly Problem[] {
  return body?.top_logprobs !== undefined && !body.logprobs
    ? [{ path: '$.top_logprobs', message: 'needs logprobs to be true' }]
    : [];
}

function answer(
  services: GatewayServices,
  c: GatewayContext,
  body: ChatBody | CompletionBody,
  shape: AnswerShape,
  { maxTokens, ...asked }: Pick<GenerateRequest, 'prompt' | 'sampling' | 'maxTokens'>,
): Promise<Response> {
  const { tenant, keyName, trace, signal } = c.var.facts;
  const client = clientOf(keyName, body.user);
  return respond({
    driver: services.driver,
    request: {
      ...asked,
      ...{ tenant, trace },
      ...(client === undefined ? {} : { client }),
      vdagUri: body.model,
      ...(maxTokens === undefined ? {} : { maxTokens }),
      stop: body.stop,
      ignoreEndToken: body.ignore_eos ?? false,
      deadlineMs: deadlineOf(c, services),
      signal,
    },
    shape,
    model: body.model,
    stream: body.stream ?? false,
    includeUsage: body.stream_options?.include_usage ?? false,
    returnTokenIds: body.return_token_ids ?? false,
    log: services.log,
  }).catch(async (error) => {
    throw await missingModel(services.controlPlane, tenant, body.model, error);
  });
}

const contextOf = (generation: GenerationSpec | undefined): number | undefined =>
  generation &&
  Math.min(
    generation.contextTokens,
    generation.limits?.maxContextTokens ?? Number.POSITIVE_INFINITY,
  );

function toModel({
  id,
  vdag,
  createdAtMs,
}: Awaited<ReturnType<GatewayServices['controlPlane']['models']>>[number]) {
  return {
    id,
    object: 'model',
    created: Math.floor(createdAtMs / 1000),
    owned_by: 'aios',
    max_model_len: contextOf(vdag.generation) ?? null,
  };
}
