import { io } from 'socket.io-client';

class VoiceAgent {
  constructor(apiKey) {
    this.apiKey = apiKey;
    this.socket = null;
    this.mediaRecorder = null;
    this.isRecording = false;
  }

  connect(voice = 'mekdes') {
    this.socket = io('wss://api.selamgpt.com/v1/audio/agent', {
      query: {
        api_key: this.apiKey,
        voice: voice
      },
      transports: ['websocket']
    });

    this.setupEventHandlers();
  }

  setupEventHandlers() {
    this.socket.on('connected', (data) => {
      console.log('Connected:', data);
      this.startSession();
    });

    this.socket.on('session_started', (data) => {
      console.log('Session started:', data);
      console.log('Ready for Push-to-Talk');
    });

    this.socket.on('transcription', (data) => {
      console.log('User:', data.text);
    });

    this.socket.on('response', (data) => {
      console.log('AI:', data.text);
    });

    this.socket.on('audio_chunk', (data) => {
      this.playAudioChunk(data.audio);
    });

    this.socket.on('error', (error) => {
      console.error('Error:', error);
    });
  }

  startSession() {
    this.socket.emit('start_session', {
      voice: 'mekdes',
      language: 'am',
      instructions: 'You are a helpful voice assistant.',
      vad_threshold: 600,
      interrupt_threshold: 8
    });
  }

  // Push-to-Talk: Call this when user holds the button
  async startTalking() {
    if (this.isRecording) return;
    this.isRecording = true;

    // Interrupt any current AI speech
    this.socket.emit('control', { action: 'interrupt' });

    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        audio: {
          sampleRate: 16000,
          channelCount: 1,
          echoCancellation: true,
          noiseSuppression: true,
          autoGainControl: true
        }
      });

      this.mediaRecorder = new MediaRecorder(stream);

      this.mediaRecorder.ondataavailable = (event) => {
        if (event.data.size > 0 && this.socket) {
          const reader = new FileReader();
          reader.onload = () => {
            const audioData = reader.result.split(',')[1];
            this.socket.emit('audio_chunk', {
              audio: audioData,
              format: 'pcm16',
              sample_rate: 16000
            });
          };
          reader.readAsDataURL(event.data);
        }
      };

      // Send chunks every 100ms
      this.mediaRecorder.start(100);
      console.log('Listening...');

    } catch (err) {
      console.error('Error accessing microphone:', err);
      this.isRecording = false;
    }
  }

  // Push-to-Talk: Call this when user releases the button
  stopTalking() {
    if (!this.isRecording || !this.mediaRecorder) return;

    this.mediaRecorder.stop();
    this.mediaRecorder.stream.getTracks().forEach(track => track.stop());
    this.mediaRecorder = null;
    this.isRecording = false;

    // Optional: Send a signal that speaking is done if needed by your logic,
    // though the server typically handles VAD or end of stream.
    console.log('Stopped listening');
  }

  playAudioChunk(base64Audio) {
    const audioData = atob(base64Audio);
    const audioArray = new Uint8Array(audioData.length);
    for (let i = 0; i < audioData.length; i++) {
      audioArray[i] = audioData.charCodeAt(i);
    }

    const blob = new Blob([audioArray], { type: 'audio/mp3' });
    const url = URL.createObjectURL(blob);
    const audio = new Audio(url);
    audio.play().catch(e => console.error('Playback failed:', e));
  }

  disconnect() {
    if (this.socket) {
      this.socket.disconnect();
    }
  }
}

// Usage Example (React/HTML)
/*
const agent = new VoiceAgent('your-api-key');
agent.connect();

// Bind to a button
<button
onMouseDown={() => agent.startTalking()}
onMouseUp={() => agent.stopTalking()}
onMouseLeave={() => agent.stopTalking()}
>
Hold to Speak
</button>
*/
