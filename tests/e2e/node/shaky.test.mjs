// The official OpenAI SDK for Node against engines that fail, refuse and hang by a script.
import assert from 'node:assert/strict';
import test from 'node:test';
import OpenAI from 'openai';
import { client, credits, key, otherKey as spendingKey } from './common.mjs';

const sdk = client({ apiKey: key });
const chat = (model, options) => sdk.chat.completions.create({ model, messages: [{ role: 'user', content: 'Hi' }] }, options);

test('refusals and failures arrive as their classes', async () => {
  const refused = (call, kind, status) =>
    assert.rejects(call, (error) => {
      assert.ok(error instanceof kind, `${error.constructor.name} is no ${kind.name}`);
      assert.equal(error.status, status);
      return true;
    });
  await refused(chat('gpt-busy'), OpenAI.InternalServerError, 503);
  await refused(chat('gpt-refused'), OpenAI.PermissionDeniedError, 403);
  await refused(chat('gpt-limited'), OpenAI.RateLimitError, 429);
  await refused(
    sdk.audio.speech.create({ model: 'tts-1', voice: 'doubtful', input: 'Hello.' }),
    OpenAI.PermissionDeniedError,
    403,
  );
  await refused(chat('gpt-hang', { timeout: 500 }), OpenAI.APIConnectionTimeoutError, undefined);
});

test('a request the SDK repeats is charged once', async () => {
  const patient = client({ apiKey: spendingKey, maxRetries: 2 });
  const speak = async () =>
    (await patient.audio.speech.create({ model: 'tts-1', voice: 'shaky', input: 'Four words are here' })).arrayBuffer();
  const before = await credits(spendingKey);
  for (let times = 0; times < 4; times += 1) await speak(); // of two requests to an engine one fails
  assert.equal(await credits(spendingKey), before - 4);
});
