// Calls from a page of examples/browser-call (argv[2], its address) as a person does, whose microphone hears argv[3]:
// waits for the greeting, asks aloud, waits for the answer, and, where argv[4] is `write`, asks in writing, too; hangs up.
// argv[5], where given, is a file for a picture taken in the middle of the answer. Prints {"said": [{"who", "text"}],
// "states": every state that was shown, "loud": how long the bot was heard, in seconds, "note", "complaints"}.
import { inChromium } from './browser.mjs';

const [address, question, how, picture] = process.argv.slice(2);

// Beside the page: every state it shows, and how long something loud came out of the call.
function watch() {
  globalThis.states = [];
  globalThis.loud = 0;
  document.addEventListener('DOMContentLoaded', () => {
    const seen = () => {
      const state = document.querySelector('.state')?.dataset.state;
      if (state && state !== globalThis.states.at(-1)) globalThis.states.push(state);
    };
    new MutationObserver(seen).observe(document.body, { subtree: true, childList: true, attributeFilter: ['data-state'] });
  });
  const Peer = globalThis.RTCPeerConnection;
  globalThis.RTCPeerConnection = class extends Peer {
    constructor(...given) {
      super(...given);
      this.addEventListener('track', ({ track }) => track.kind === 'audio' && listen(track));
    }
  };
  function listen(track) {
    const context = new AudioContext();
    const meter = context.createAnalyser();
    context.createMediaStreamSource(new MediaStream([track])).connect(meter);
    const wave = new Float32Array(meter.fftSize);
    setInterval(() => {
      meter.getFloatTimeDomainData(wave);
      if (Math.max(...wave.map(Math.abs)) > 0.02) globalThis.loud += 0.05;
    }, 50);
  }
}

const lines = () =>
  [...document.querySelectorAll('ol li:not(.partial)')].map((item) => ({ who: item.className, text: item.textContent }));
const answers = (count) =>
  document.querySelectorAll('ol li.assistant:not(.partial)').length >= count &&
  document.querySelector('.state').dataset.state === 'listening';

const told = await inChromium(
  async (page, complaints) => {
    await page.addInitScript(watch);
    await page.goto(address);
    await page.getByRole('button', { name: 'Call' }).click();
    const patience = { timeout: 60_000 };
    if (picture) {
      await page.waitForFunction(() => document.querySelectorAll('ol li.user').length > 0, null, patience);
      await page.waitForFunction(() => document.querySelector('.state').dataset.state === 'speaking', null, patience);
      await page.waitForTimeout(400);
      await page.screenshot({ path: picture });
    }
    await page.waitForFunction(answers, 2, patience);
    if (how === 'write') {
      await page.getByLabel('Message').fill('What is two plus two?');
      await page.getByRole('button', { name: 'Send' }).click();
      await page.waitForFunction(answers, 3, patience);
    }
    const said = await page.evaluate(lines);
    await page.getByRole('button', { name: 'Hang up' }).click();
    await page.waitForFunction(() => document.querySelector('.note').textContent.includes('credits'), null, patience);
    const note = await page.locator('.note').textContent();
    return { said, note, complaints, ...(await page.evaluate(() => ({ states: globalThis.states, loud: globalThis.loud }))) };
  },
  { hears: question, viewport: { width: 760, height: 560 } },
);
console.log(JSON.stringify(told));
