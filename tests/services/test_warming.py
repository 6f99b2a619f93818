import json
import subprocess
import sys

SCRIPT = """
import json, sys
import voxgate.app
from voxgate.services.warming import warm
from voxgate.text.normalize import normalize
slow = ("av", "soxr", "num2words")
before = [name for name in slow if name in sys.modules]
warm()
after = [name for name in slow if name in sys.modules]
loaded = set(sys.modules)
for language in ("en", "vi", "id", "ja"):
    normalize("It was 5 km on 3/4, and 3:30.", "advanced", language)
print(json.dumps([before, after, sorted(set(sys.modules) - loaded)]))
"""


def test_that_a_warm_server_has_loaded_what_requests_need_and_commands_do_not() -> None:
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    before, after, later = json.loads(ran.stdout)
    assert before == []
    assert after == ["av", "soxr", "num2words"]
    assert [name for name in later if not name.startswith("num2words.")] == []
