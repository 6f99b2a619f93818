curl -X POST https://api.valsea.ai/v1/audio/transcriptions \
  -H "Authorization: Bearer YOUR_API_KEY" \
  -F file=@utterance.wav \
  -F model=valsea-transcribe \
  -F language=vietnamese
