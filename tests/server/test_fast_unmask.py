"""The fast unmask against eventlet's own, and the release it was checked for.

Run in a child process: eventlet must not be imported into the test process, whose sockets and
threads are not patched.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.server import fast_unmask

COMPARE = """
import random, warnings
warnings.simplefilter("ignore")
from eventlet.websocket import RFC6455WebSocket
from webapp.server import fast_unmask
original = RFC6455WebSocket._apply_mask
draw = random.Random(7)
for size in [0, 1, 2, 3, 4, 5, 7, 8, 1000, 4099]:
    for offset in [0, 1, 2, 3, 4, 1001]:
        data = draw.randbytes(size)
        mask = tuple(draw.randbytes(4))
        for length in [None, size, size // 2]:
            theirs = original(data, mask, length=length, offset=offset)
            ours = fast_unmask.unmask(data, mask, length=length, offset=offset)
            assert theirs == ours and type(theirs) is type(ours), (size, offset, length)
assert fast_unmask.install()
assert RFC6455WebSocket._apply_mask is fast_unmask.unmask
print("same")
"""


def test_equals_eventlets_own_and_takes_its_place() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMPARE], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "same", done.stderr


@given(
    data=st.binary(max_size=300), mask=st.binary(min_size=4, max_size=4), offset=st.integers(0, 9)
)
def test_masking_twice_gives_the_data_back(data: bytes, mask: bytes, offset: int) -> None:
    masked = fast_unmask.unmask(data, tuple(mask), offset=offset)
    assert masked == bytes(b ^ mask[(offset + i) % 4] for i, b in enumerate(data))
    assert fast_unmask.unmask(masked, tuple(mask), offset=offset) == data


def test_the_installed_release_is_one_that_was_checked() -> None:
    assert version("eventlet").startswith(fast_unmask.CHECKED_RELEASES)


def test_other_releases_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_unmask, "version", lambda _name: "0.42.0")
    monkeypatch.setattr(fast_unmask.importlib, "import_module", pytest.fail)
    assert fast_unmask.install() is False
