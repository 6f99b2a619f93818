// A conversation by socket.io-client on Node, over the transports in argv[2] (comma-separated), with the recording in
// argv[3]: a turn that is spoken, one that is written and cut short, a pause, a connection that breaks and is taken up.
// Prints [event, what it carried] of everything that was told, audio as its length in bytes, one a line.
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { io } from 'socket.io-client';
import { key, url } from './common.mjs';

const [transports, recording] = process.argv.slice(2);
const waiting = [];
const told = [];
let session;

const socket = io(`${url}/v1/audio/agent`, {
  auth: (tell) => tell({ api_key: key, voice: 'alloy', ...(session && { resume: session }) }),
  transports: transports.split(','),
  reconnectionDelay: 50,
});
socket.onAny((event, data) => {
  const shown = { ...data, ...(data?.audio && { audio: Buffer.from(data.audio, 'base64').length }) };
  told.push([event, shown]);
  console.log(JSON.stringify([event, shown]));
  for (let at = waiting.length - 1; at >= 0; at -= 1) {
    if (waiting[at].event === event && waiting[at].fits(shown)) waiting.splice(at, 1)[0].resolve(shown);
  }
});
const next = (event, fits = () => true) => new Promise((resolve) => waiting.push({ event, fits, resolve }));
const limit = setTimeout(() => { console.error('nothing more was told'); process.exit(1); }, 40_000);

await next('connected');
let awaited = next('session_started');
socket.emit('start_session', { output_format: 'pcm16' });
session = (await awaited).session_id;

awaited = next('audio_end');
const audio = fs.readFileSync(recording);
for (let at = 0; at < audio.length; at += 1600) {
  const piece = audio.subarray(at, at + 1600);
  const sent = (at / 1600) % 2 ? piece : piece.toString('base64'); // both ways, in turn
  socket.emit('audio_chunk', { audio: sent, format: 'pcm16', sample_rate: 16000 });
  await sleep(20);
}
await awaited;

awaited = next('audio_chunk');
socket.emit('text', { text: 'And then?' });
await awaited;
awaited = next('interrupted');
socket.emit('control', { action: 'interrupt' });
await awaited;

awaited = next('audio_chunk');
socket.emit('text', { text: 'Once more.' });
await awaited;
awaited = next('control_ack');
socket.emit('control', { action: 'pause' });
await awaited;
awaited = next('control_ack');
socket.emit('control', { action: 'resume' });
await awaited;

awaited = next('audio_end');
const resumed = next('connected', (data) => data.resumed);
socket.io.engine.close(); // as a network that goes away does
await resumed;
await awaited;

awaited = next('session_ended');
socket.emit('end_session');
await awaited;
clearTimeout(limit);
socket.disconnect();
