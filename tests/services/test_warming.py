import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
import json, sys
import voxgate.app
from voxgate.audio import resample
from voxgate.audio.codecs.stream import open_stream
from voxgate.services.warming import LIVE_RATES, warm
from voxgate.text.normalize import normalize
slow = ("av", "soxr", "num2words")
before = [name for name in slow if name in sys.modules]
warm()
after = [name for name in slow if name in sys.modules]
loaded = set(sys.modules)
for language in ("en", "vi", "id", "ja"):
    normalize("It was 5 km on 3/4, and 3:30.", "advanced", language)
for rate in LIVE_RATES:
    open_stream("pcm16", rate).feed(bytes(rate // 10))
filters = resample._phases.cache_info()
print(json.dumps([before, after, sorted(set(sys.modules) - loaded), filters.misses, filters.hits]))
"""


def test_that_a_warm_server_has_loaded_what_requests_need_and_commands_do_not() -> None:
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    before, after, later, made, used = json.loads(ran.stdout)
    assert before == []
    assert after == ["av", "soxr", "num2words"]
    assert [name for name in later if not name.startswith("num2words.")] == []
    assert made == used == 4, "the filters of live audio"
