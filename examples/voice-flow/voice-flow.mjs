// Ask a recorded question and hear the answer: transcription, chat, realtime speech.
//
//   npm install ws
//   export VOXGATE_URL=http://127.0.0.1:8080 VOXGATE_API_KEY=vg_…
//   node examples/voice-flow/voice-flow.mjs question.wav answer.mp3
//
// The speech is written to the file while it is being made: a player that reads along starts long before the last word.
import fs from 'node:fs';
import path from 'node:path';
import WebSocket from 'ws';

const url = process.env.VOXGATE_URL ?? 'http://127.0.0.1:8080';
const key = process.env.VOXGATE_API_KEY;
const [question, output = 'answer.mp3'] = process.argv.slice(2);
if (!key) fail('set VOXGATE_API_KEY to the key that voxgate serve printed');
if (!question) fail('usage: node voice-flow.mjs QUESTION.wav [ANSWER.mp3]');

function fail(message) {
  console.error(message);
  process.exit(1);
}

// The body of an answer; where it is an error, the server's own words, and the end.
async function post(where, init) {
  const response = await fetch(url + where, {
    method: 'POST',
    ...init,
    headers: { Authorization: `Bearer ${key}`, ...init.headers },
  });
  const body = await response.json();
  if (!response.ok) fail(`${response.status}: ${body.error.message}`);
  return body;
}

// Step 1: one utterance in, its text out.
async function transcribe(recording) {
  const form = new FormData();
  form.set('file', new Blob([fs.readFileSync(recording)]), path.basename(recording));
  form.set('model', 'valsea-transcribe');
  return (await post('/v1/audio/transcriptions', { body: form })).text;
}

// Step 2: the conversation in, its next message out.
async function think(messages) {
  const completion = await post('/v1/chat/completions', {
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ model: 'valsea-fast', messages }),
  });
  return completion.choices[0].message.content;
}

// Step 3: text in, an MP3 file out, piece by piece. Resolves to the milliseconds until its first piece came.
function speak(text) {
  return new Promise((resolve) => {
    const began = performance.now();
    const file = fs.createWriteStream(output);
    let first = 0;
    const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/realtime/tts`);
    socket.on('error', (error) => fail(error.message));
    socket.on('open', () => socket.send(JSON.stringify({ token: key })));
    socket.on('message', (data, isBinary) => {
      if (isBinary) {
        first ||= performance.now() - began;
        file.write(data);
        return;
      }
      const message = JSON.parse(data);
      if (message.type === 'successful-authentication') {
        socket.send(JSON.stringify({ type: 'speak', text, voice: 'valsea-default', audio_format: 'mp3' }));
      } else if (message.type === 'speech.finished') {
        socket.send(JSON.stringify({ type: 'session.stop' }));
      } else if (message.type === 'error') {
        fail(`${message.code}: ${message.message}`);
      }
    });
    socket.on('close', () => file.end(() => resolve(first)));
  });
}

const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(2).padStart(5)} s`;

let began = performance.now();
const asked = await transcribe(question);
console.log(`heard    ${seconds(began)}  ${asked}`);

began = performance.now();
const answer = await think([
  { role: 'system', content: 'You are a helpful voice assistant. Answer in one short English sentence.' },
  { role: 'user', content: asked },
]);
console.log(`answered ${seconds(began)}  ${answer}`);

began = performance.now();
const first = await speak(answer);
console.log(`spoke    ${seconds(began)}  ${output} (first audio after ${first.toFixed(0)} ms)`);
