"""Run as a program: a service on a tiny model, in a process that tests may kill.

python -m tests.service.serve_tiny HOME PORT
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from dense.service.app import create_app
from dense.service.server import Place, bind, make_config
from tests.service.made import make_core


def make(home: Path) -> FastAPI:
    core = make_core(home, drain_seconds=10.0)
    return create_app(core.settings, core)


def main() -> None:
    home, place = Path(sys.argv[1]), Place(port=int(sys.argv[2]))
    listener = bind(place)
    core = make_core(home)
    uvicorn.Server(make_config(core.settings, place, partial(make, home))).run([listener])


if __name__ == "__main__":
    main()
