// Visits the server's own page (argv[2]) as a newcomer does: signs in with the key in argv[3] and, where it is told what
// to say, presses Talk, so that a microphone plays argv[4], waits until so many turns (argv[5]) are answered, writes one
// more (argv[6]) and ends. argv[7], where given, is a folder for pictures. Prints {"lines": the conversation as it is
// read, "states", "sockets": addresses, "trouble": what the page complains of, "wide": its width on a telephone of 375,
// "complaints": the browser's}.
import { inChromium } from './browser.mjs';

const [url, key, hears, turns, typed, pictures] = process.argv.slice(2);

function watch() {
  globalThis.states = [];
  document.addEventListener('DOMContentLoaded', () => {
    const state = document.getElementById('state');
    new MutationObserver(() => globalThis.states.push(state.dataset.state)).observe(state, { attributeFilter: ['data-state'] });
  });
}

function read() {
  const lines = [...document.querySelectorAll('#transcript > li')].map((line) => ({
    who: line.classList[0],
    text: (line.querySelector('.text') ?? line).textContent,
    unsaid: line.querySelector('.unsaid')?.textContent ?? null,
    latency: line.querySelector('.latency summary')?.textContent ?? null,
    stages: [...line.querySelectorAll('.stages b')].map((stage) => stage.textContent),
    played_ms: Number(line.dataset.playedMs),
    stalled_ms: Number(line.dataset.stalledMs),
  }));
  return { lines, states: globalThis.states, trouble: document.getElementById('trouble').textContent };
}

const told = await inChromium(async (page, complaints) => {
  const picture = async (name) => pictures && page.screenshot({ path: `${pictures}/page-${name}.png` });
  const sockets = [];
  page.on('websocket', (socket) => sockets.push(socket.url()));
  await page.addInitScript(watch);
  await page.goto(url);
  await picture('door');
  await page.fill('#key', key);
  await page.click('#sign-in button');
  if (!hears) {
    await page.waitForSelector('#trouble:visible');
    return { ...(await page.evaluate(read)), sockets, complaints };
  }
  await page.waitForSelector('#talk:visible');
  await page.click('#talk');
  const answered = (count) => page.waitForFunction((n) => document.querySelectorAll('.bot .latency').length >= n, count, { timeout: 40_000 });
  await answered(Number(turns));
  await page.waitForSelector('#state[data-state=listening]');
  await picture('talk');
  await page.fill('#text', typed);
  await page.press('#text', 'Enter');
  await answered(Number(turns) + 1);
  await page.waitForSelector('#state[data-state=listening]');
  await page.setViewportSize({ width: 375, height: 720 });
  await page.click('.bot .latency summary');
  await picture('small');
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  await page.click('#end');
  await page.waitForSelector('#state[data-state=off]');
  return { ...(await page.evaluate(read)), sockets, wide, complaints };
}, { hears: hears ?? null, viewport: { width: 1000, height: 760 } });
console.log(JSON.stringify(told));
