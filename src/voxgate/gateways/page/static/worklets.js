// The two processors of sound.js, on the browser's audio thread.

const FRAME_MS = 40; // of microphone a message: small beside the pause that ends a turn

// The microphone as 16-bit samples: posts {pcm: ArrayBuffer, rms: 0 to 1} every FRAME_MS.
class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.frame = new Int16Array(Math.round(sampleRate * FRAME_MS / 1000));
    this.filled = 0;
    this.energy = 0;
  }

  process([input]) {
    for (const sample of input[0] ?? []) {
      this.frame[this.filled++] = Math.max(-1, Math.min(1, sample)) * 0x7fff;
      this.energy += sample * sample;
      if (this.filled === this.frame.length) {
        const pcm = this.frame.slice().buffer;
        this.port.postMessage({ pcm, rms: Math.sqrt(this.energy / this.filled) }, [pcm]);
        this.filled = this.energy = 0;
      }
    }
    return true;
  }
}

const FADE = 120; // samples at the edge of a silence nobody planned: 5 ms, too short to hear, too long to click

// Plays what comes, in order, without a seam: {reply, pcm: ArrayBuffer} adds, {end: reply} says that nothing more comes,
// {clear: true} falls silent at once. Posts {reply, played, stalled} in samples: what was heard of a reply, and how long
// it was dry between its first sound and its last.
class Playback extends AudioWorkletProcessor {
  constructor() {
    super();
    this.queue = [];
    this.at = 0;
    this.reply = null;
    this.played = this.stalled = this.dry = this.since = 0;
    this.gain = 0;
    this.last = 0;
    this.port.onmessage = ({ data }) => {
      if (data.clear) {
        this.queue = [];
        this.at = 0;
        this.finish();
      } else {
        this.queue.push(data.end ? data : { reply: data.reply, pcm: new Int16Array(data.pcm) });
      }
    };
  }

  // The next sample; null where there is none.
  next() {
    for (;;) {
      const head = this.queue[0];
      if (!head) return null;
      if (head.end) {
        this.queue.shift();
        if (head.end === this.reply) this.finish();
        continue;
      }
      if (head.reply !== this.reply) {
        this.finish();
        this.reply = head.reply;
      }
      if (this.at < head.pcm.length) return head.pcm[this.at++] / 0x8000;
      this.queue.shift();
      this.at = 0;
    }
  }

  finish() {
    if (this.reply === null) return;
    this.report();
    this.reply = null;
    this.played = this.stalled = this.dry = this.since = 0;
  }

  report() {
    this.port.postMessage({ reply: this.reply, played: this.played, stalled: this.stalled });
    this.since = 0;
  }

  process(_inputs, [[output]]) {
    for (let i = 0; i < output.length; i += 1) {
      const sample = this.next();
      if (sample === null) {
        if (this.played) this.dry += 1; // a gap once more of the reply follows, and its end otherwise
        this.gain = Math.max(0, this.gain - 1 / FADE);
        output[i] = this.last * this.gain;
      } else {
        this.gain = Math.min(1, this.gain + 1 / FADE);
        this.last = sample;
        output[i] = sample * this.gain;
        this.played += 1;
        this.stalled += this.dry;
        this.dry = 0;
      }
      this.since += 1;
    }
    if (this.reply !== null && this.since >= sampleRate / 5) this.report();
    return true;
  }
}

registerProcessor('capture', Capture);
registerProcessor('playback', Playback);
