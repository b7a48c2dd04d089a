"""One fault in a process of its own, for those that need a variable before an engine is loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from compress.faults.bed import Bed
from compress.faults.fault import Fault
from compress.faults.outcome import Outcome, from_json
from compress.options.read import from_table
from compress.recipe import Recipe
from compress.workbench import recipe_table
from runtime.errors import StepError
from runtime.trust import load_private_key, save_private_key

_KEY = "key.pem"
_TIMEOUT_S = 1800.0


def put_in_alone(bed: Bed, fault: Fault, folder: Path) -> Outcome:
    """As `put_in`. Raises StepError with its last words where the process ends without an outcome."""
    key = folder.with_name(f"{folder.name}-{_KEY}")
    key.unlink(missing_ok=True)
    save_private_key(bed.key, key)
    question = {
        "recipe": recipe_table(bed.recipe),
        "bed": str(bed.folder.absolute()),
        "data": None if bed.data is None else str(bed.data.absolute()),
        "fault": fault.name,
        "folder": str(folder.absolute()),
        "key": str(key.absolute()),
    }
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "compress.faults.alone"],
            input=json.dumps(question),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **fault.environment},
        )
    except subprocess.TimeoutExpired as error:
        raise StepError(f"the fault {fault.name} took longer than {_TIMEOUT_S:g} s") from error
    finally:
        key.unlink(missing_ok=True)
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise StepError(f"the fault {fault.name} ended with code {done.returncode}: {last}")
    return from_json(json.loads(lines[-1]))


def main() -> None:
    """The child: a question in, an outcome out."""
    from compress.faults.catalogue import chosen
    from compress.faults.put_in import put_in

    question = json.loads(sys.stdin.read())
    folder = Path(question["bed"])
    data = None if question["data"] is None else Path(question["data"])
    bed = Bed(
        folder,
        from_table(Recipe, question["recipe"], "recipe"),
        data,
        load_private_key(Path(question["key"])),
    )
    outcome = put_in(bed, chosen([question["fault"]])[0], Path(question["folder"]))
    sys.stdout.write(json.dumps(outcome.to_json()) + "\n")


if __name__ == "__main__":
    main()
