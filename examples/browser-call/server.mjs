// The website of the example: serves two pages, and creates a session for whoever calls. The API key stays here; a
// browser is given a token that opens one room. It listens on this machine only: every call is paid by your key.
//
//   VOXGATE_API_KEY=vg_… node server.mjs          http://127.0.0.1:3000
//
// VOXGATE_URL: where Voxgate is (http://127.0.0.1:8080). VOXGATE_VOICEBOT: id of a voicebot; without it, one named
// "Browser call" is found or made. PORT: of this website.
import fs from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const folder = path.dirname(fileURLToPath(import.meta.url));
const voxgate = process.env.VOXGATE_URL ?? 'http://127.0.0.1:8080';
const key = process.env.VOXGATE_API_KEY;
if (!key) {
  console.error('VOXGATE_API_KEY is not set: the key that `voxgate serve` printed, or one of `voxgate keys create`.');
  process.exit(1);
}

async function ask(method, where, body) {
  const answer = await fetch(voxgate + where, {
    method,
    headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  const said = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(said.error.message), { status: answer.status });
  return said;
}

const BOT = {
  name: 'Browser call',
  greeting: 'Hello! You can talk to me, or write.',
  instructions: 'You are a friendly voice assistant. Answer in one or two short sentences.',
};

async function voicebot() {
  if (process.env.VOXGATE_VOICEBOT) return process.env.VOXGATE_VOICEBOT;
  const { voicebots } = await ask('GET', '/v1/voicebots?limit=100');
  return (voicebots.find((bot) => bot.name === BOT.name) ?? (await ask('POST', '/v1/voicebots', BOT))).id;
}

// The rooms that were made here: nobody ends another website's calls through this one.
const rooms = new Set();

async function call(request) {
  if (request.method === 'POST') {
    const session = await ask('POST', '/v1/voicebot-livekit/session', { voicebotId: await voicebot() });
    rooms.add(session.roomName);
    return session;
  }
  const room = request.url.slice('/call/'.length);
  if (request.method !== 'DELETE' || !rooms.has(room)) throw Object.assign(new Error('no such call'), { status: 404 });
  return ask('DELETE', `/v1/voicebot-livekit/session/${room}`);
}

// Scripts are put together when the website starts: no build to run, nothing to keep on disk.
const { outputFiles } = await build({
  absWorkingDir: folder,
  entryPoints: ['call.mjs', 'react-call.jsx'],
  bundle: true,
  format: 'esm',
  jsx: 'automatic',
  minify: true,
  define: { 'process.env.NODE_ENV': '"production"' },
  outdir: 'out',
  write: false,
});
const files = {
  '/': ['text/html', await fs.readFile(path.join(folder, 'index.html'))],
  '/react': ['text/html', await fs.readFile(path.join(folder, 'react.html'))],
  '/page.css': ['text/css', await fs.readFile(path.join(folder, 'page.css'))],
};
for (const file of outputFiles) files[`/${path.basename(file.path)}`] = ['text/javascript', file.contents];

const server = http.createServer(async (request, response) => {
  const tell = (status, type, body) => response.writeHead(status, { 'Content-Type': type }).end(body);
  if (request.url in files) return tell(200, `${files[request.url][0]}; charset=utf-8`, files[request.url][1]);
  if (!request.url.startsWith('/call')) return tell(404, 'text/plain', 'there is nothing here');
  try {
    return tell(200, 'application/json', JSON.stringify(await call(request)));
  } catch (error) {
    return tell(error.status ?? 502, 'application/json', JSON.stringify({ error: error.message }));
  }
});
server.listen(process.env.PORT ?? 3000, '127.0.0.1', () => {
  console.log(`Open http://127.0.0.1:${server.address().port} and allow the microphone.`);
});
