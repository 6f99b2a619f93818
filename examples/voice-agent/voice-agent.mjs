// Talk with the voice agent: a recording is the caller, the bot's voice goes to a file.
//
//   npm install socket.io-client
//   export VOXGATE_URL=http://127.0.0.1:8080 VOXGATE_API_KEY=vg_…
//   node examples/voice-agent/voice-agent.mjs question.wav answer.mp3
//
// A WAV file, or what a browser's MediaRecorder has written: the server finds out by itself.
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { io } from 'socket.io-client';

const url = process.env.VOXGATE_URL ?? 'http://127.0.0.1:8080';
const key = process.env.VOXGATE_API_KEY;
const [question, output = 'answer.mp3'] = process.argv.slice(2);
if (!key) fail('set VOXGATE_API_KEY to the key that voxgate serve printed');
if (!question) fail('usage: node voice-agent.mjs QUESTION.wav [ANSWER.mp3]');

function fail(message) {
  console.error(message);
  process.exit(1);
}

const answer = fs.createWriteStream(output);
const socket = io(`${url}/v1/audio/agent`, {
  query: { api_key: key, voice: 'valsea-default' },
  transports: ['websocket'],
});

socket.on('connected', () =>
  socket.emit('start_session', {
    instructions: 'You are a helpful voice assistant. Answer in one short English sentence.',
  })
);

// Piece by piece, as a recorder hands them out. When nothing more comes, the server takes what was said for a turn.
socket.on('session_started', async () => {
  const recording = fs.readFileSync(question);
  for (let at = 0; at < recording.length; at += 3200) {
    socket.emit('audio_chunk', { audio: recording.subarray(at, at + 3200), format: 'wav' });
    await sleep(100);
  }
});

socket.on('transcription', ({ text, is_final }) => {
  if (is_final) console.log(`heard    ${text}`);
});
socket.on('response', ({ text }) => console.log(`answered ${text}`));

// Each chunk is an MP3 file of its own, to be played when it comes; one behind the other they are one file.
socket.on('audio_chunk', ({ audio }) => answer.write(Buffer.from(audio, 'base64')));

socket.on('latency', ({ total_ms }) => {
  console.log(`spoke    ${output}, ${total_ms.toFixed(0)} ms after the last word`);
  socket.emit('end_session');
});
socket.on('session_ended', () => {
  socket.disconnect();
  answer.end();
});

socket.on('error', ({ type, message }) => fail(`${type}: ${message}`));
socket.on('connect_error', (error) => fail(error.message));
