"""Read vector layers with GDAL in a process of its own: in the process of a server, GDAL would wait for itself.

Run with a JSON list on standard input; each entry is {"source", "layer", "more"}, without "layer" the layers are
listed. The answers come out as a JSON list: {"layers"}, or {"info", "columns"}.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def read(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Have all tasks done by one new process."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).resolve())], input=json.dumps(tasks), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def main() -> None:
    """Do the tasks on standard input."""
    import pyogrio

    answers: list[dict[str, Any]] = []
    for task in json.load(sys.stdin):
        source, layer, more = task["source"], task.get("layer"), {k: tuple(v) if isinstance(v, list) else v for k, v in task.get("more", {}).items()}
        if layer is None:
            answers.append({"layers": pyogrio.list_layers(source)[:, 0].tolist()})
            continue
        info = pyogrio.read_info(source, layer=layer or None, force_feature_count=True, force_total_bounds=True)
        table = pyogrio.read_dataframe(source, layer=layer or None, **more)
        columns = {c: json.loads(table[c].to_json(orient="values")) for c in table.columns if c != "geometry"}
        kept = ("features", "geometry_type", "crs")
        told = {k: info[k] if k == "crs" or k == "geometry_type" else int(info[k]) for k in kept}
        answers.append({"info": told | {"total_bounds": [float(v) for v in info["total_bounds"]]}, "columns": columns})
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
