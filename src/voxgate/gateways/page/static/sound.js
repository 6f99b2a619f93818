// The microphone and the loudspeaker of a conversation.

export const VOICE_RATE = 24000; // samples per second of what the server sends as pcm16

const HEARING_RATE = 16000; // what recognizers hear; a browser that cannot open its microphone so sends its own rate

// What a person can do about a microphone that does not open.
export class MicrophoneError extends Error {}

const REASONS = {
  NotAllowedError: 'The browser did not allow the microphone. Allow it beside the address of this page, then press Talk again.',
  NotFoundError: 'There is no microphone. Plug one in, or write instead.',
  NotReadableError: 'Another program holds the microphone. Close it, then press Talk again.',
};

const worklets = new URL('worklets.js', import.meta.url);

// Plays 16-bit samples as they come. `onplayed(reply, milliseconds, stalledMilliseconds)` tells what was heard.
export class Loudspeaker {
  static async open(onplayed) {
    const context = new AudioContext({ sampleRate: VOICE_RATE, latencyHint: 'interactive' });
    await context.audioWorklet.addModule(worklets);
    return new Loudspeaker(context, onplayed);
  }

  constructor(context, onplayed) {
    this.context = context;
    this.node = new AudioWorkletNode(context, 'playback', { numberOfInputs: 0, outputChannelCount: [1] });
    this.node.connect(context.destination);
    this.node.port.onmessage = ({ data }) => {
      const ahead = context.outputLatency || 0; // seconds between the browser and the ear
      const heard = Math.max(0, data.played / VOICE_RATE - ahead);
      onplayed(data.reply, heard * 1000, data.stalled * 1000 / VOICE_RATE);
    };
  }

  // A browser lets sound out only after a click or a key.
  wake() { return this.context.resume(); }

  play(reply, pcm) { this.node.port.postMessage({ reply, pcm }, [pcm]); }

  end(reply) { this.node.port.postMessage({ end: reply }); }

  silence() { this.node.port.postMessage({ clear: true }); }
}

// The microphone, open until `close`. `onframe(pcm, sampleRate, rms)`: 40 ms of 16-bit samples.
export class Microphone {
  static async open(onframe) {
    if (!navigator.mediaDevices) {
      throw new MicrophoneError(
        'Browsers give the microphone only to pages over HTTPS or on this very machine. Open this page at ' +
        `http://localhost:${location.port || 80}, or give the server a certificate (server.tls_certificate). ` +
        'You can write meanwhile.',
      );
    }
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
      });
    } catch (error) {
      throw new MicrophoneError(REASONS[error.name] ?? `The microphone does not open: ${error.message}`);
    }
    return Microphone.#listening(stream, onframe, HEARING_RATE)
      .catch(() => Microphone.#listening(stream, onframe)) // Firefox takes a microphone at its own rate only
      .catch((error) => {
        stream.getTracks().forEach((track) => track.stop());
        throw new MicrophoneError(`The microphone cannot be heard: ${error.message}`);
      });
  }

  static async #listening(stream, onframe, sampleRate) {
    const context = new AudioContext(sampleRate ? { sampleRate } : {});
    try {
      await context.audioWorklet.addModule(worklets);
      const node = new AudioWorkletNode(context, 'capture', { numberOfOutputs: 0, channelCount: 1, channelCountMode: 'explicit' });
      context.createMediaStreamSource(stream).connect(node);
      node.port.onmessage = ({ data }) => onframe(data.pcm, context.sampleRate, data.rms);
      await context.resume();
    } catch (error) {
      await context.close();
      throw error;
    }
    return new Microphone(stream, context);
  }

  constructor(stream, context) {
    this.stream = stream;
    this.context = context;
  }

  close() {
    this.stream.getTracks().forEach((track) => track.stop());
    return this.context.close();
  }
}
