#!/usr/bin/env python3
"""Ask a recorded question and leave a spoken answer, with three calls of OpenAI's own client.

    pip install openai
    export OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=vg_…
    python examples/three_calls.py question.flac -o answer.wav

Nothing in here knows Voxgate: the client reads the address and the key from the environment.
"""

import argparse
import time
from pathlib import Path

from openai import OpenAI


def main() -> None:
    """Recording -> text -> answer -> speech, with the time each step takes."""
    arguments = argparse.ArgumentParser(description="Ask a recorded question; leave a spoken answer.")
    arguments.add_argument("question", type=Path, help="a recording of a question, in any common format")
    arguments.add_argument("-o", "--output", type=Path, default=Path("answer.wav"), help="file of the spoken answer")
    arguments.add_argument("--voice", default="valsea-default", help="GET /v1/audio/voices lists them")
    arguments.add_argument("--model", default="valsea-fast", help="the chat model; GET /v1/models lists them")
    chosen = arguments.parse_args()
    client = OpenAI()

    began = time.perf_counter()
    question = client.audio.transcriptions.create(model="valsea-transcribe", file=chosen.question).text
    heard = time.perf_counter()
    print(f"heard    {heard - began:5.2f} s  {question}")

    completion = client.chat.completions.create(
        model=chosen.model,
        messages=[
            {"role": "system", "content": "You are a helpful voice assistant. Answer in one short English sentence."},
            {"role": "user", "content": question},
        ],
    )
    answer = completion.choices[0].message.content or "I have no answer to that."
    thought = time.perf_counter()
    print(f"answered {thought - heard:5.2f} s  {answer}")

    first = 0.0
    with (
        client.audio.speech.with_streaming_response.create(
            model="valsea-tts", voice=chosen.voice, input=answer, response_format="wav"
        ) as speech,
        chosen.output.open("wb") as file,
    ):
        for piece in speech.iter_bytes():
            first = first or time.perf_counter() - thought
            file.write(piece)
    spoken = time.perf_counter() - thought
    print(f"spoke    {spoken:5.2f} s  {chosen.output} (first audio after {first * 1000:.0f} ms)")


if __name__ == "__main__":
    main()
