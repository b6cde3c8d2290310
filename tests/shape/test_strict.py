"""Where everything is installed, no test is skipped: SMSBRIDGE_TEST_STRICT=1 makes a failure of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"


@pytest.mark.parametrize(("strict", "code"), [("0", 0), ("1", 1)])
@pytest.mark.parametrize("skipping", ["def test(): pytest.skip('why')", "@pytest.mark.skip('why')\ndef test(): ..."])
def test_a_skipped_test_fails_when_it_has_to(tmp_path: Path, skipping: str, strict: str, code: int) -> None:
    shutil.copy(CONFTEST, tmp_path)
    (tmp_path / "test_one.py").write_text(f"import pytest\n\n{skipping}\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path],
        capture_output=True, text=True, check=False, env={**os.environ, "SMSBRIDGE_TEST_STRICT": strict},
    )  # fmt: skip
    assert done.returncode == code, done.stdout
    assert "why" in done.stdout or not code
