"""llama.cpp's own OpenAI-compatible server over TCP: `python llamacpp_server.py MODEL.gguf`; prints its address."""

from __future__ import annotations

import sys

from xllamacpp.xllamacpp import CommonParams, Server


def main(path: str) -> None:
    """Serve until stdin ends."""
    params = CommonParams()
    params.model.path = path
    params.n_ctx, params.n_parallel = 2048, 2
    params.hostnames = ["127.0.0.1"]
    params.port = 0  # any that is free
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.use_jinja, params.ui = True, False
    params.verbosity = 1
    server = Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
