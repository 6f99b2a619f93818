#!/usr/bin/env bash
# The same three calls with curl:  three-calls.sh QUESTION.wav [ANSWER.wav]
# OPENAI_BASE_URL and OPENAI_API_KEY say where Voxgate is and who asks. Needs curl and python3 (to read and write JSON).
set -euo pipefail
base=${OPENAI_BASE_URL:-http://127.0.0.1:8080/v1}
key=${OPENAI_API_KEY:?set OPENAI_API_KEY to the key that voxgate serve printed}
question=${1:?usage: three-calls.sh QUESTION.wav [ANSWER.wav]}
answer=${2:-answer.wav}
work=$(mktemp)
trap 'rm -f "$work"' EXIT

post() { # post PATH FILE [curl options]: the answer into FILE; where it is an error, the server's own words, and the end
    curl -sS --fail-with-body "$base/$1" -H "Authorization: Bearer $key" -o "$2" "${@:3}" || {
        cat "$2" >&2
        exit 1
    }
}
json() { # json 'EXPRESSION over words' WORDS...: an object made in Python, so that any text is quoted rightly
    python3 -c "import json, sys; words = sys.argv[1:]; print(json.dumps($1))" "${@:2}"
}

post audio/transcriptions "$work" -F model=valsea-transcribe -F response_format=text -F "file=@$question"
asked=$(cat "$work")
echo "heard:    $asked"

post chat/completions "$work" -H 'Content-Type: application/json' -d "$(json '{
    "model": "valsea-fast",
    "messages": [
        {"role": "system", "content": "You are a helpful voice assistant. Answer in one short English sentence."},
        {"role": "user", "content": words[0]},
    ],
}' "$asked")"
reply=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["choices"][0]["message"]["content"])' <"$work")
echo "answered: $reply"

post audio/speech "$answer" -H 'Content-Type: application/json' -d "$(json '{
    "model": "valsea-tts", "voice": "valsea-default", "input": words[0], "response_format": "wav",
}' "$reply")"
echo "spoke:    $answer"
