"""The workspace's secret: made once, for its owner only, and never replaced in silence."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.core.errors import ConfigurationError
from workbench.runner.judging.fence_secret import fence_secret


def test_it_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    secret = fence_secret(tmp_path)
    assert len(secret) == 32
    assert fence_secret(tmp_path) == secret
    (file,) = (tmp_path / ".workbench").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_workspaces_have_secrets_of_their_own(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    assert fence_secret(tmp_path / "one") != fence_secret(tmp_path / "two")


def test_many_who_make_it_at_once_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        secrets = set(pool.map(fence_secret, [tmp_path] * 64))
    assert len(secrets) == 1
    assert len(list((tmp_path / ".workbench").iterdir())) == 1


@pytest.mark.parametrize("text", ["", "no key", "ab" * 31])
def test_a_file_without_a_key_is_an_error_that_says_what_to_do(tmp_path: Path, text: str) -> None:
    fence_secret(tmp_path)
    (file,) = (tmp_path / ".workbench").iterdir()
    file.write_text(text)
    with pytest.raises(ConfigurationError, match="restore it from a copy"):
        fence_secret(tmp_path)
