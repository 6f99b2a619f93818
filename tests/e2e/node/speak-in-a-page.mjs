// Runs the published snippet of a browser (file in argv[2]) in a page of an origin of its own, with `assistantText` as
// said in argv[3]. Prints {"events", "frames", "file"}: what the page's socket was told until the speech was finished.
import fs from 'node:fs';
import http from 'node:http';
import { inChromium } from './browser.mjs';

const [snippet, assistantText] = process.argv.slice(2);

const site = http.createServer((_, response) => {
  response.setHeader('Content-Type', 'text/html');
  response.end('<!doctype html><link rel="icon" href="data:,"><title>A site of somebody</title>');
});
await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));

// Beside the snippet, which throws the audio away, another listener keeps it.
const KEEPING = `
globalThis.kept = new Promise((resolve, reject) => {
  const events = [], blobs = [];
  socket.addEventListener('close', (event) => reject(new Error('closed with ' + event.code)));
  socket.addEventListener('message', async ({ data }) => {
    if (data instanceof Blob) return blobs.push(data);
    const event = JSON.parse(data);
    events.push(event);
    if (event.type === 'error') reject(new Error(event.code + ': ' + event.message));
    if (event.type !== 'speech.finished') return;
    const reader = new FileReader();
    reader.onload = () => resolve({ events, frames: blobs.length, file: reader.result.split(',')[1] });
    reader.readAsDataURL(new Blob(blobs));
  });
});`;

const told = await inChromium(async (page, complaints) => {
  await page.goto(`http://127.0.0.1:${site.address().port}/`);
  await page.addScriptTag({ content: `const assistantText = ${JSON.stringify(assistantText)};` });
  await page.addScriptTag({ content: fs.readFileSync(snippet, 'utf8') + KEEPING });
  const kept = await page.evaluate(() => globalThis.kept);
  if (complaints.length) throw new Error(complaints.join('\n'));
  return kept;
});
site.close();
console.log(JSON.stringify(told));
