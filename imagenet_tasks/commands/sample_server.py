"""The command `sample-server`: the built-in pictures over HTTP."""

import argparse
import logging
import sys

EXAMPLES = """\
example:
  %(prog)s --host 0.0.0.0 --port 8765
  Then give each worker IMAGENET_SAMPLE_URL=http://THIS_HOST:8765."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the command's own options."""
    parser.description = (
        "Serves the drawn sample pictures over HTTP until it is stopped, for runs on\n"
        "other machines. `run` does not need it."
    )
    parser.epilog = EXAMPLES
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8765, help="the port to listen at (default: 8765)")
    parser.set_defaults(command=serve_sample)


def serve_sample(options: argparse.Namespace) -> int:
    """Serves until it is stopped."""
    from imagenet_tasks.sample.server import serve

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    serve(options.host, options.port)
    return 0
