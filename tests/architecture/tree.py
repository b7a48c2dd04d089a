"""The files of the project, as a clone has them."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("runtime", "compress", "device_app")
_NOT_SOURCE = {".git", ".venv", "build", "dist", "__pycache__", "node_modules"}


@cache
def project_files() -> tuple[str, ...]:
    """Relative paths of all files that git tracks or would track; without git, of all but build outputs."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
        names = sorted(set(listed.decode().split("\0")) - {""})
    else:
        names = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if _is_source(path))
    return tuple(name for name in names if (ROOT / name).is_file())


def _is_source(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    return not (_NOT_SOURCE & set(parts) or any(part.endswith(".egg-info") for part in parts))
