"""`python -m voxgate.models.convert NAME SOURCE TARGET` and `… --selftest NAME TARGET`.

Run by the model store in a process of its own. A converter is a module of this package with
`convert(source: Path, target: Path) -> None` and, where its result can be tried out, `selftest(target: Path) -> None`,
which raises when the result does not work.
"""

import argparse
import errno
import importlib
import sys
from pathlib import Path

from voxgate.errors import VoxgateError


def main(arguments: list[str] | None = None) -> int:
    """Convert, or test what was converted; the exit code of the process. A traceback means the converter failed."""
    parser = argparse.ArgumentParser(prog="python -m voxgate.models.convert", description="Convert a fetched model.")
    parser.add_argument("--selftest", action="store_true", help="try out TARGET instead of making it")
    parser.add_argument("name", help="the converter")
    parser.add_argument("folders", nargs="+", type=Path, help="SOURCE TARGET, or TARGET alone with --selftest")
    options = parser.parse_args(arguments)
    wanted = 1 if options.selftest else 2
    if len(options.folders) != wanted:
        parser.error(f"{wanted} folder(s) needed")
    converter = importlib.import_module(f"{__package__}.{options.name}")
    try:
        if options.selftest:
            selftest = getattr(converter, "selftest", None)
            if selftest is None:
                print(f"{options.name} has no self-test to judge a result that differs", file=sys.stderr)
                return 1
            selftest(*options.folders)
        else:
            converter.convert(*options.folders)
    except VoxgateError as error:
        print(error.message, file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return errno.ENOSPC
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
