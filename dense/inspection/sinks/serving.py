"""An event loop on a thread of its own, for the sinks that are servers."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Coroutine
from typing import TypeVar

Value = TypeVar("Value")


class LoopThread:
    """Runs coroutines on a background event loop, from any thread.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[object, object, Value], timeout: float = 10.0) -> Value:
        """Run to the end and return the result.

        Raises:
            TimeoutError: If it takes longer; it is cancelled.
        """
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        try:
            return future.result(timeout)
        except concurrent.futures.TimeoutError as error:  # the built-in one from Python 3.11 on
            future.cancel()
            raise TimeoutError(f"no answer within {timeout:g} s") from error
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Cancel what runs and end the thread."""
        with contextlib.suppress(Exception):
            self.run(_cancel_others(), timeout=2.0)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(2.0)
        if not self._thread.is_alive():
            self.loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
