"""Stops one thread of another process, as a debugger does, while its other threads go on."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# ptrace(2), <linux/ptrace.h> and <linux/wait.h>.
PTRACE_SEIZE = 0x4206
PTRACE_INTERRUPT = 0x4207
PTRACE_DETACH = 17
WAIT_FOR_ANY_THREAD = 0x40000000

_ptrace = ctypes.CDLL(None, use_errno=True).ptrace
_ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_ptrace.restype = ctypes.c_long


@contextmanager
def stopped_thread(process_id: int, name: str) -> Iterator[None]:
    """The thread stands still until the end of the block."""
    thread_id = _thread_id(process_id, name)
    try:
        _request(PTRACE_SEIZE, thread_id)
    except PermissionError:
        pytest.skip("tracing another process is not allowed here")
    _request(PTRACE_INTERRUPT, thread_id)
    os.waitpid(thread_id, WAIT_FOR_ANY_THREAD)
    try:
        yield
    finally:
        try:
            _request(PTRACE_DETACH, thread_id)
        except ProcessLookupError:
            # It has ended with its process, and waits for whoever traces it to take note.
            os.waitpid(thread_id, WAIT_FOR_ANY_THREAD)


def _thread_id(process_id: int, name: str) -> int:
    threads = Path(f"/proc/{process_id}/task").iterdir()
    return next(int(thread.name) for thread in threads if (thread / "comm").read_text().strip() == name)


def _request(request: int, thread_id: int) -> None:
    if _ptrace(request, thread_id, None, None) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
