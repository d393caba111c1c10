#!/usr/bin/env python3
"""make render: Grafana's dashboards, deploy/kubernetes from the chart, and docs/values.md from the comments of its values."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python as helm
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "deploy" / "monitoring" / "grafana"))

import dashboards  # noqa: E402

CHART = ROOT / "deploy" / "helm" / "digital-twin"
MANIFESTS = ROOT / "deploy" / "kubernetes"
# Helm reads no file that is not in the chart; Grafana of docker/compose.yaml has these too.
DASHBOARDS = CHART / "files" / "dashboards"
VALUES_PAGE = ROOT / "docs" / "values.md"

# Of deploy/kubernetes.
VALUES = CHART / "values" / "kubernetes.yaml"
RELEASE = "digital-twin"
NAMESPACE = "digital-twin-system"
# What has to be there before the rest, in this order: kubectl goes by the names of files.
FIRST = ("cluster", "accounts", "discovery")

HEADER = "# Rendered by `make render` from deploy/helm/digital-twin with values/{values}: change those.\n"

PAGE = """# Values of the chart

What `--values` and `--set` of `helm` take, with what holds unless they say otherwise. `make render` writes this page from
the comments in [values.yaml](../deploy/helm/digital-twin/values.yaml). Unknown names and wrong values are refused, by
`values.schema.json`; `robots[]` has all of `robotDefaults`, for one robot.

| value | default | meaning |
|---|---|---|
"""


def dashboard_files() -> dict[Path, str]:
    return {DASHBOARDS / f"{one.uid}.json": one.json() for one in dashboards.ALL}


def manifests() -> dict[Path, str]:
    """The files of deploy/kubernetes."""
    rendered = helm.Chart.load(CHART).render(yaml.safe_load(VALUES.read_text()), name=RELEASE, namespace=NAMESPACE)
    files = {}
    for template, text in sorted(rendered.items()):
        path = Path(template)
        if path.suffix == ".yaml" and (text := tidy(text)):
            name = f"{FIRST.index(path.stem):02}-{path.name}" if path.stem in FIRST else path.name
            files[MANIFESTS / name] = HEADER.format(values=VALUES.name) + text
    return files


def tidy(text: str) -> str:
    """Without the empty documents that templates leave behind."""
    documents = re.split(r"^---\s*$", text, flags=re.MULTILINE)
    return "".join(f"---\n{document.strip()}\n" for document in documents if yaml.safe_load(document) is not None)


def values_page() -> str:
    rows = (f"| `{path}` | {default} | {meaning} |\n" for path, default, meaning in documented_values())
    return PAGE + "".join(rows)


def documented_values() -> Iterator[tuple[str, str, str]]:
    """Path, default and meaning of each value. What is below one that has a meaning has it too; else it has to have one."""
    text = (CHART / "values.yaml").read_text()
    values = yaml.safe_load(text)
    meaning = ""
    parents: list[tuple[int, str]] = []
    told: list[str] = []
    for line in text.splitlines():
        if comment := re.match(r"\s*# -- (.*)", line):
            meaning = comment.group(1)
        elif key := re.match(r"( *)(\w+):", line):
            depth = len(key.group(1))
            parents = [parent for parent in parents if parent[0] < depth] + [(depth, key.group(2))]
            path = ".".join(name for _, name in parents)
            if meaning:
                yield path, default_text(values, path), meaning.replace("|", "\\|")
                told.append(path)
            elif not isinstance(at(values, path), dict) and not path.startswith(tuple(f"{one}." for one in told)):
                sys.exit(f"error: {path} of values.yaml has no comment that begins with `# --`")
            meaning = ""


def at(values: Any, path: str) -> Any:
    """The value; what is inside of a list is no value of its own."""
    for name in path.split("."):
        values = values.get(name, {}) if isinstance(values, dict) else {}
    return values


def default_text(values: Any, path: str) -> str:
    value = at(values, path)
    return "" if value == "" else f"`{json.dumps(value) if not isinstance(value, str) else value}`"


def rendered_files() -> dict[Path, str]:
    return {**dashboard_files(), **manifests(), VALUES_PAGE: values_page()}


def write(files: dict[Path, str], folder: Path, pattern: str) -> None:
    """In place of all that the folder has of the kind."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob(pattern):
        if old not in files:
            old.unlink()
    for path, text in files.items():
        path.write_text(text)


def main() -> None:
    # First the dashboards: the chart has them.
    write(dashboard_files(), DASHBOARDS, "*.json")
    write(manifests(), MANIFESTS, "*.yaml")
    VALUES_PAGE.write_text(values_page())


if __name__ == "__main__":
    main()
