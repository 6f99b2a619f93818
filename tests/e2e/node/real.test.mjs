// The official OpenAI SDK for Node against real engines.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';
import OpenAI, { toFile } from 'openai';
import { client, key, otherKey, recording, url, words } from './common.mjs';

const sdk = client();
const QUESTION = 'What is the capital of France?';
const asked = { messages: [{ role: 'user', content: QUESTION }], temperature: 0 }; // the demo model is sure of it only then

test('transcription: json, text, verbose_json with words', async () => {
  const plain = await sdk.audio.transcriptions.create({
    model: 'whisper-1',
    file: fs.createReadStream(recording('question')),
  });
  assert.deepEqual(words(plain.text), words(QUESTION));
  const text = await sdk.audio.transcriptions.create({
    model: 'whisper-1',
    file: await toFile(fs.readFileSync(recording('question')), 'question.flac'),
    response_format: 'text',
  });
  assert.deepEqual(words(text), words(QUESTION));
  const verbose = await sdk.audio.transcriptions.create({
    model: 'whisper-1',
    file: fs.createReadStream(recording('question')),
    response_format: 'verbose_json',
    timestamp_granularities: ['word', 'segment'],
  });
  assert.deepEqual(words(verbose.words.map((word) => word.word).join(' ')), words(QUESTION));
  assert.ok(verbose.words.every((word) => word.start <= word.end && word.end <= verbose.duration));
  assert.equal(verbose.segments.length, 1);
});

test('speech, whole and as a stream', async () => {
  const response = await sdk.audio.speech.create({
    model: 'tts-1',
    voice: 'onyx',
    input: 'The train leaves at nine.',
    response_format: 'wav',
  });
  assert.equal(response.headers.get('content-type'), 'audio/wav');
  const whole = Buffer.from(await response.arrayBuffer());
  assert.equal(whole.subarray(0, 4).toString(), 'RIFF');
  const heard = await sdk.audio.transcriptions.create({ model: 'whisper-1', file: await toFile(whole, 'train.wav') });
  assert.deepEqual(words(heard.text), ['the', 'train', 'leaves', 'at', 'nine']);

  const streamed = await sdk.audio.speech.create({
    model: 'tts-1',
    voice: 'onyx',
    input: 'The train leaves at nine. It comes back at five. Nobody knows why it does that every day.',
  });
  let pieces = 0;
  for await (const piece of streamed.body) pieces += piece.length > 0 ? 1 : 0;
  assert.ok(pieces > 2, `${pieces} pieces`);
});

test('chat: plain, streamed, streamed with usage', async () => {
  const plain = await sdk.chat.completions.create({ model: 'valsea-fast', ...asked });
  assert.match(plain.choices[0].message.content, /Paris/);
  assert.ok(plain.usage.total_tokens > 0);

  let text = '';
  for await (const chunk of await sdk.chat.completions.create({ model: 'gpt-4o-mini', ...asked, stream: true })) {
    text += chunk.choices[0]?.delta?.content ?? '';
  }
  assert.match(text, /Paris/);

  let usage = null;
  for await (const chunk of await sdk.chat.completions.create({
    model: 'gpt-4o-mini',
    ...asked,
    stream: true,
    stream_options: { include_usage: true },
  })) {
    usage = chunk.usage ?? usage;
  }
  assert.ok(usage.completion_tokens > 0);
});

test('models', async () => {
  const listed = [];
  for await (const model of sdk.models.list()) listed.push(model.id);
  for (const name of ['whisper-1', 'tts-1', 'valsea-fast']) assert.ok(listed.includes(name), name);
});

test('errors arrive as their classes', async () => {
  const refused = async (call, kind, code, status) =>
    assert.rejects(call, (error) => {
      assert.ok(error instanceof kind, `${error.constructor.name} is no ${kind.name}`);
      assert.equal(error.code, code);
      assert.equal(error.status, status);
      assert.match(error.requestID, /^req_/);
      return true;
    });
  await refused(sdk.models.retrieve('no-such-model'), OpenAI.NotFoundError, 'model_not_found', 404);
  await refused(
    sdk.audio.transcriptions.create({ model: 'whisper-1', file: await toFile(Buffer.from('junk'.repeat(99)), 'a.wav') }),
    OpenAI.BadRequestError,
    'invalid_audio',
    400,
  );
  await refused(
    sdk.audio.speech.create({ model: 'tts-1', voice: 'nobody', input: 'x' }),
    OpenAI.BadRequestError,
    'unsupported_voice',
    400,
  );
  const stranger = client({ apiKey: `vg_${'x'.repeat(43)}` });
  await refused(stranger.models.list(), OpenAI.AuthenticationError, 'invalid_api_key', 401);
  const poor = client({ apiKey: otherKey, maxRetries: 2 });
  await refused(
    poor.audio.speech.create({ model: 'tts-1', voice: 'onyx', input: 'Hello.' }),
    OpenAI.APIError,
    'insufficient_credits',
    402,
  );
});

test('the three-step flow as a browser writes it, with plain fetch', async () => {
  const form = new FormData();
  form.append('file', new Blob([fs.readFileSync(recording('question'))]), 'utterance.flac');
  form.append('model', 'valsea-transcribe');
  form.append('language', 'english');
  const heard = await fetch(`${url}/v1/audio/transcriptions`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${key}` },
    body: form,
  });
  const { text: transcriptText } = await heard.json();
  assert.deepEqual(words(transcriptText), words(QUESTION));

  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${key}`,
      'Content-Type': 'application/json',
    },
    body: JSON.stringify({
      model: 'valsea-fast',
      messages: [
        { role: 'system', content: 'You are a helpful voice assistant.' },
        { role: 'user', content: transcriptText },
      ],
    }),
  });
  const completion = await response.json();
  const assistantText = completion.choices[0].message.content;
  assert.ok(assistantText.trim().length > 0);
});
