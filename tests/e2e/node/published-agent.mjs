// Runs the published class (file in argv[2]) in a page of an origin of its own, with the key in argv[3], the voice in
// argv[4] (empty: its own). With a recording in argv[5], the button is held while a microphone plays it, for argv[6]
// seconds. Prints {"events": what the socket was told, without audio, "sounds": when each Audio element played and ended,
// "console": lines of the console that are errors}; times are milliseconds of the page's clock.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { inChromium } from './browser.mjs';

const [file, key, voice, hears, seconds] = process.argv.slice(2);
const client = path.join(path.dirname(fileURLToPath(import.meta.url)), 'node_modules/socket.io-client/dist/socket.io.esm.min.js');

const page = `<!doctype html><link rel="icon" href="data:,"><title>A site of somebody</title>
<script type="importmap">{"imports": {"socket.io-client": "/socket.io-client.js"}}</script>
<script type="module" src="/agent.js"></script>`;
const files = {
  '/': ['text/html', page],
  '/socket.io-client.js': ['text/javascript', fs.readFileSync(client)],
  '/agent.js': ['text/javascript', `${fs.readFileSync(file, 'utf8')}\nglobalThis.VoiceAgent = VoiceAgent;`],
};
const site = http.createServer(({ url }, response) => {
  const [type, content] = files[url];
  response.setHeader('Content-Type', type);
  response.end(content);
});
await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));

// Beside the class: when each of its Audio elements begins and ends.
function watch() {
  globalThis.sounds = [];
  const Plain = globalThis.Audio;
  globalThis.Audio = class extends Plain {
    constructor(...given) {
      super(...given);
      const sound = { made: performance.now() };
      globalThis.sounds.push(sound);
      for (const event of ['play', 'playing', 'ended']) {
        this.addEventListener(event, () => { sound[event] = performance.now(); });
      }
    }
  };
}

function connect([apiKey, voice]) {
  globalThis.events = [];
  globalThis.agent = new VoiceAgent(apiKey);
  if (voice) agent.connect(voice);
  else agent.connect();
  agent.socket.prependAny((name, { audio, ...told }) => events.push({ name, at: performance.now(), ...told }));
  agent.socket.on('disconnect', () => events.push({ name: 'disconnect', at: performance.now() }));
}

const told = await inChromium(async (visited, complaints) => {
  await visited.addInitScript(watch);
  await visited.goto(`http://127.0.0.1:${site.address().port}/`);
  await visited.evaluate(connect, [key, voice]);
  if (hears) {
    await visited.waitForFunction(() => events.some(({ name }) => name === 'session_started'));
    await visited.evaluate(() => agent.startTalking());
    await visited.waitForTimeout(Number(seconds) * 1000);
    await visited.evaluate(() => agent.stopTalking());
  } else {
    await visited.waitForFunction(() => events.some(({ name }) => name === 'error'));
    await visited.waitForTimeout(1000); // more of them would come now
  }
  const result = await visited.evaluate(() => ({ events, sounds }));
  await visited.evaluate(() => agent.disconnect());
  return { ...result, console: complaints };
}, { hears: hears || null });
site.close();
console.log(JSON.stringify(told));
